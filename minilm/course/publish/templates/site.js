/* Maths, controls that walk through stored pictures, and a list of contents that narrow screens fold. */
"use strict";

if (window.katex) setMaths(document.querySelectorAll("main .maths"));
slideFrames();
const side = document.querySelector("aside.side > details");
if (side && matchMedia("(max-width: 860px)").matches) side.open = false;
document.documentElement.dataset.ready = "true";
