/* Sets the maths, fits the slides (fit.js), and hands them to reveal.js. */
"use strict";

async function start() {
  setMaths(document.querySelectorAll(".page .maths"));
  await Promise.all([...document.fonts].filter((face) => /Inter|JetBrains/.test(face.family)).map((face) => face.load()));
  await document.fonts.ready;
  await Promise.all([...document.images].map((image) => image.decode().catch(() => null)));
  const deck = document.querySelector(".reveal");
  document.querySelectorAll(".page pre").forEach(layLines);
  deck.classList.add("measuring");
  for (const page of [...document.querySelectorAll(".page")]) place(page);
  deck.classList.remove("measuring");
  if (!/print-pdf/.test(location.search)) stepFrames(Reveal);
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, center: false, hash: true, slideNumber: "c/t", transition: "none",
    controls: true, controlsTutorial: false, controlsBackArrows: "visible", navigationMode: "linear",
    pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1, showNotes: /show-?notes/.test(location.search) ? "separate-page" : false,
    plugins: [RevealNotes],
  });
  document.documentElement.dataset.ready = "true";
}

start();
