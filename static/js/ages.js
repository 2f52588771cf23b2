// Keeps ages going ("was sent 8 s ago") between two frames of the server.
"use strict";
(() => {
  const two = (number) => String(number).padStart(2, "0");
  function age(seconds) {
    const m = Math.floor(seconds / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
    if (d) return `${d} d ${h % 24} h`;
    if (h) return `${h} h ${two(m % 60)} m`;
    return m ? `${m} m ${two(seconds % 60)} s` : `${seconds} s`;
  }
  setInterval(() => {
    if (document.getElementById("connection")?.dataset.state === "reconnecting") return;
    const pulse = document.getElementById("pulse")?.dataset.at;
    if (!pulse) return; // without the server's clock an age would be a guess
    for (const element of document.querySelectorAll("[data-age]")) {
      const seconds = Math.max(0, Math.round((Date.now() - Date.parse(element.dataset.age)) / 1000));
      const text = age(seconds);
      if (element.textContent !== text) element.textContent = text;
    }
  }, 1000);
})();
