/* Sets the maths of a page; a mark that follows a formula stays on its line. */
"use strict";

function setMaths(boxes) {
  for (const box of boxes) {
    katex.render(box.textContent, box, { displayMode: box.classList.contains("display"), throwOnError: false });
    const next = box.nextSibling;
    const mark = next && next.nodeType === Node.TEXT_NODE && /^[.,;:!?)]+/.exec(next.data);
    const last = [...box.querySelectorAll(".katex-html > .base")].pop();
    if (!mark || !last || box.classList.contains("display")) continue;
    last.append(mark[0]);
    next.data = next.data.slice(mark[0].length);
  }
}
