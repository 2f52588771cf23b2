// The page's own script, one file so that a page costs few requests: starts htmx for certain, says
// how fresh the page is, keeps countdowns and ages going, copies ids. Loaded last and deferred. It
// reads only what the server put into the document: the heartbeat is <i id="pulse" data-at>, sent
// with every frame and at least each five seconds.
"use strict";
(() => {
  const SILENCE_MS_MAX = 12000; // two heartbeats missed
  let heardAt = -Infinity; // our clock, when the last heartbeat came
  let lastPulse = "";
  let serverAhead = 0; // server's clock minus ours, milliseconds

  const two = (number) => String(number).padStart(2, "0");
  const clock = (ms) => new Date(ms).toISOString().slice(11, 19);
  const isLive = () => performance.now() - heardAt < SILENCE_MS_MAX;

  function setText(element, text) {
    if (element && element.textContent !== text) element.textContent = text;
  }

  function listen() {
    const at = document.getElementById("pulse")?.dataset.at || "";
    if (at && at !== lastPulse) {
      lastPulse = at;
      heardAt = performance.now();
      serverAhead = Date.parse(at) - Date.now();
    }
    show();
  }

  function showConnection() {
    const mark = document.getElementById("connection");
    if (!mark || !lastPulse || mark.dataset.state === "lost") return;
    const state = isLive() ? "live" : "reconnecting";
    if (mark.dataset.state !== state) mark.dataset.state = state;
    const text = state === "live"
      ? mark.dataset.live
      : mark.dataset.reconnecting.replace("{at}", clock(Date.parse(lastPulse)));
    setText(mark.querySelector(".connection-text"), text);
  }

  function left(ms) {
    const s = Math.max(0, Math.ceil(ms / 1000));
    const h = Math.floor(s / 3600);
    if (h >= 24) return age(h * 3600); // days and hours: nobody waits for the second
    const m = Math.floor(s / 60) % 60;
    return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
  }

  function age(seconds) {
    const m = Math.floor(seconds / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
    if (d) return `${d} d ${h % 24} h`;
    if (h) return `${h} h ${two(m % 60)} m`;
    return m ? `${m} m ${two(seconds % 60)} s` : `${seconds} s`;
  }

  function show() {
    showConnection();
    const title = document.querySelector("[data-title]")?.dataset.title;
    if (title && document.title !== title) document.title = title;
    if (lastPulse && !isLive()) return; // what is not live does not tick
    const now = Date.now() + serverAhead;
    for (const element of document.querySelectorAll("[data-until]")) {
      setText(element, left(Date.parse(element.dataset.until) - now));
    }
    if (!lastPulse) return; // without the server's clock an age would be a guess
    for (const element of document.querySelectorAll("[data-age]")) {
      setText(element, age(Math.max(0, Math.round((now - Date.parse(element.dataset.age)) / 1000))));
    }
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue; // shown only where it can work
    button.hidden = false;
    button.addEventListener("click", async () => {
      const before = button.textContent;
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = button.dataset.done;
      setTimeout(() => { button.textContent = before; }, 1500);
    });
  }

  // After a swap the text is the server's again: put the countdown back before the next paint.
  new MutationObserver(listen).observe(document.body, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["data-at", "data-until"],
  });
  window.addEventListener("offline", () => { heardAt = -Infinity; show(); });
  document.addEventListener("visibilitychange", show);
  setInterval(show, 1000);
  show();

  // htmx may have looked at the page before its socket extension had arrived: look once more.
  window.htmx?.process(document.body);
})();
