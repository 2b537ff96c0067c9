/* Pictures that a control moves: stored frames, of which one is shown. */
"use strict";

function showFrame(box, wanted) {
  [...box.querySelectorAll(":scope > .frame")].forEach((frame, k) => { frame.hidden = k !== wanted; });
  for (const image of box.querySelectorAll(".frame:not([hidden]) img[data-src]")) {
    image.src = image.dataset.src;
    image.removeAttribute("data-src");
  }
}

const framed = () => [...document.querySelectorAll(".frames")].filter((box) => box.querySelectorAll(":scope > .frame").length > 1);

/* In a deck every frame after the first is a step forward. */
function stepFrames(reveal) {
  for (const box of framed()) {
    box.querySelectorAll(":scope > .frame").forEach((_, k) => {
      if (k) box.insertAdjacentHTML("beforeend", '<i class="fragment step"></i>');
    });
    showFrame(box, 0);
  }
  const follow = () => { for (const box of framed()) showFrame(box, box.querySelectorAll(".step.visible").length); };
  for (const event of ["fragmentshown", "fragmenthidden", "slidechanged"]) reveal.on(event, follow);
}

/* On a page that scrolls a slider walks through them. */
function slideFrames() {
  for (const box of framed()) {
    const count = box.querySelectorAll(":scope > .frame").length;
    const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: count - 1, value: box.dataset.start });
    slider.setAttribute("aria-label", "Move through the stored pictures");
    slider.addEventListener("input", () => showFrame(box, Number(slider.value)));
    box.prepend(slider);
  }
}
