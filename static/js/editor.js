// Line numbers beside the editor, since each problem is given by its line. Without this script the
// text box is what it was.
"use strict";
(() => {
  const source = document.getElementById("source");
  if (!source) return;
  const gutter = document.createElement("pre");
  gutter.className = "gutter";
  gutter.setAttribute("aria-hidden", "true"); // read aloud, numbers would be noise
  let shown = 0;

  function number() {
    const count = source.value.split("\n").length;
    if (count === shown) return;
    shown = count;
    gutter.textContent = Array.from({ length: count }, (_, line) => line + 1).join("\n");
  }

  function follow() { gutter.scrollTop = source.scrollTop; }
  function stretch() { gutter.style.height = `${source.offsetHeight}px`; }

  source.parentElement.prepend(gutter);
  source.parentElement.dataset.numbered = "";
  source.addEventListener("input", () => { number(); follow(); });
  source.addEventListener("scroll", follow);
  new ResizeObserver(stretch).observe(source); // its corner can be dragged
  number();
  stretch();
  follow();
})();
