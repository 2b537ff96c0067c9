/* Fits every slide to 1280 x 720 before reveal.js takes over, and splits what cannot fit.

   In order: slightly smaller code (22 to 20 px, never less), the verdict without its small print,
   smaller figures, smaller text, a smaller heading; then a second slide under the same heading. A
   function is not split unless it is longer than a slide (marked data-torn), and printed results stay
   with the code that printed them. What is still too large is marked data-overflow. Tests look at both
   marks. */
"use strict";

const START = { code: 22, text: 30, figure: 560 };
const LARGE = { code: 26, text: 35 };
const STEPS = [{ code: 20 }, "brief", { figure: 440 }, { text: 28 }, "tight", { text: 26 }, { figure: 380 }, "wrap", { text: 24 }, { figure: 330 }];
const OPENING = [...STEPS, { figure: 240 }];
const LAST = [...STEPS, { text: 22 }, { figure: 200 }];

function pixels(page, sizes) {
  page.sizes = sizes;
  page.style.setProperty("--code-size", sizes.code + "px");
  page.style.setProperty("--text-size", sizes.text + "px");
  page.style.setProperty("--figure-height", sizes.figure + "px");
}

/* Pixels by which the lowest block hangs below the page's foot; negative where there is room. */
function excess(page) {
  const style = getComputedStyle(page);
  const floor = page.getBoundingClientRect().bottom - parseFloat(style.paddingBottom);
  let over = -page.clientHeight;
  for (const block of page.querySelectorAll(":scope > .block")) {
    over = Math.max(over, block.getBoundingClientRect().bottom - floor - 1);
  }
  return over;
}

function tooWide(page) {
  for (const box of page.querySelectorAll("pre, table, .katex-display, .block, .html")) {
    const margin = box.matches("pre") ? 0 : box.querySelector(".highlight") ? 20 : 4; // listings reach into the margin
    if (box.scrollWidth > box.clientWidth + margin) return true;
  }
  const right = page.getBoundingClientRect().right - 40;
  return [...page.querySelectorAll("table, .katex-html")].some((box) => box.getBoundingClientRect().right > right);
}

const fits = (page) => excess(page) <= 0 && !tooWide(page);

/* Take the steps one by one, and each in small ones, until everything fits. */
function shrink(page, steps) {
  page.classList.remove("brief", "tight", "wrap");
  pixels(page, { ...START });
  for (const step of steps) {
    if (fits(page)) return true;
    if (typeof step === "string") { page.classList.add(step); continue; }
    const [[kind, least]] = Object.entries(step);
    const by = kind === "figure" ? 20 : 1;
    while (page.sizes[kind] > least && !fits(page)) pixels(page, { ...page.sizes, [kind]: page.sizes[kind] - by });
  }
  return fits(page);
}

const listing = (block) => block && block.querySelector(".highlight");
const printed = (block) => block && block.querySelector(".output") && !listing(block);

/* Cut a page in two: the second has the same heading and whatever did not fit on the first. */
function split(page) {
  const section = page.parentElement;
  const blocks = [...page.querySelectorAll(":scope > .block")];
  const heading = blocks.length && blocks[0].classList.contains("heading") ? blocks[0] : null;
  const body = heading ? blocks.slice(1) : blocks;
  const show = (wanted) => body.forEach((block, k) => { block.style.display = wanted(k) ? "" : "none"; });
  const first = (count) => { show((k) => k < count); return fits(page); };
  let keep = body.length;
  while (!first(keep) && keep > 0) keep -= 1;
  if (keep === body.length) return null;
  const [code, next] = [body[keep - 1], body[keep]];
  let tail = null;
  if (listing(code) && printed(next) && code.dataset.cell === next.dataset.cell) {
    show((k) => body[k].dataset.cell === code.dataset.cell);
    const together = fits(page);
    first(keep);
    if (!(together && keep > 1)) tail = cutCode(page, code);
    if (!tail && keep > 1) keep -= 1;
  } else {
    show((k) => k === keep);
    const alone = fits(page);
    first(keep + 1);
    if (!alone) tail = cutCode(page, next) || (keep === 0 && cutItems(page, next));
  }
  show(() => true);
  const from = tail ? keep + (tail.from === next) : Math.max(keep, 1);
  let rest = [...(tail ? [tail] : []), ...body.slice(from)];
  if (!rest.length) return null;
  /* an introduction that ends in ":" goes with what it introduces */
  if (!tail && keep > 1 && /:\s*$/.test(body[keep - 1].textContent)) rest = [body[keep - 1], ...rest];
  return turnOver(section, page, heading, rest);
}

/* The slide after a section: the same heading, and these blocks below it. */
function turnOver(section, page, heading, rest) {
  const next = section.cloneNode(false);
  next.removeAttribute("id");
  const second = page.cloneNode(false);
  second.classList.remove("title");
  if (heading) {
    const again = document.createElement("div");
    const [title] = heading.querySelectorAll("h1, h2, h3");
    again.className = "block heading";
    again.innerHTML = `<h2>${title.innerHTML}</h2>`;
    if (!again.querySelector(".more")) again.firstChild.insertAdjacentHTML("beforeend", ' <span class="more">continued</span>');
    second.append(again);
  }
  second.append(...rest, page.querySelector(".foot").cloneNode(true));
  next.append(second);
  for (const notes of section.querySelectorAll(":scope > aside.notes")) {
    const copy = notes.cloneNode(true);
    const time = copy.querySelector(".minutes");
    if (time && !time.dataset.more) { time.dataset.more = "yes"; time.append(" (two slides or more share these minutes)"); }
    next.append(copy);
  }
  section.after(next);
  return second;
}

/* Keep as many lines of a long listing as fit below what is shown; the rest is returned. It is cut
   where its data-cuts allow, else between methods; a function longer than a page, and printed text,
   after an empty line if there is one in the second half. */
function cutCode(page, block) {
  const pre = block && block.querySelector("pre");
  const lines = pre ? [...pre.querySelectorAll(".line")] : [];
  const box = listing(block);
  const within = (names) => new Set(names.flatMap((name) => (box.dataset[name] || "").split(" ").filter(Boolean)));
  const allowed = box ? [within(["cuts"]), within(["cuts", "methods"]), null] : [null];
  for (const places of allowed) {
    let cut = 0, gap = 0;
    lines.forEach((line) => { line.style.display = "none"; });
    for (let k = 0; k < lines.length && fits(page); k++) {
      if (k && (!places || places.has(lines[k].dataset.n))) cut = k;
      if (k && lines[k - 1].matches(".empty")) gap = k;
      lines[k].style.display = "";
    }
    lines.forEach((line) => { line.style.display = ""; });
    if (!places && gap > cut / 2) cut = gap;
    if (cut < (places ? 1 : 4)) continue;
    if (box && !places) page.parentElement.dataset.torn = "yes";
    const tail = block.cloneNode(true);
    [...tail.querySelectorAll("pre .line")].slice(0, cut).forEach((line) => line.remove());
    lines.slice(cut).forEach((line) => line.remove());
    while (pre.querySelector(".line:last-child.empty")) pre.querySelector(".line:last-child.empty").remove();
    for (const after of block.querySelectorAll(".highlight ~ p")) after.remove();
    tail.from = block;
    return tail;
  }
  return null;
}

/* The same for a list or a table: whole items and rows, numbers going on, the head repeated. */
function cutItems(page, block) {
  const whole = block.querySelector("ul, ol, table");
  if (!whole) return null;
  const holder = (root) => (root.matches("table") ? root.querySelector("tbody") || root : root);
  const items = [...holder(whole).children];
  if (items.length < 4) return null;
  let keep = items.length;
  while (keep > 1 && !fits(page)) items[--keep].style.display = "none";
  for (const item of items) item.style.display = "";
  keep = Math.min(keep, Math.ceil(items.length / Math.ceil(items.length / keep)));
  const tail = block.cloneNode(true);
  const rest = tail.querySelector("ul, ol, table");
  [...holder(rest).children].slice(0, keep).forEach((item) => item.remove());
  items.slice(keep).forEach((item) => item.remove());
  if (rest.matches("ol")) rest.start = (whole.start || 1) + keep;
  tail.from = block;
  return tail;
}

/* Each line of code and of printed text by itself, with the width of its indent; of several empty
   lines of code one is left. */
function layLines(pre) {
  const code = pre.querySelector("code") || pre;
  let before = "";
  const lines = code.innerHTML.replace(/^<span><\/span>|\n$/g, "").split("\n").map((line, n) => {
    const plain = line.replace(/<[^>]*>/g, "");
    const again = !plain.trim() && !before.trim() && pre.closest(".highlight");
    before = plain;
    const indent = plain.length - plain.trimStart().length;
    return again ? "" : `<span class="line${plain.trim() ? "" : " empty"}" data-n="${n}" style="--in:${indent}">${line || " "}</span>`;
  });
  code.innerHTML = lines.join("");
}

function place(page) {
  for (let pages = 0; page && pages < 12; pages++) {
    const steps = page.matches(".title") ? OPENING : STEPS;
    if (shrink(page, steps)) break;
    const next = split(page);
    if (!next || !shrink(page, steps)) shrink(page, LAST);
    finish(page);
    page = next;
  }
  if (page) finish(page);
}

/* A page with room to spare is set larger, up to four fifths of its height: first prose and code
   together, then whichever of them still fits. */
function grow(page) {
  if (page.querySelector("img") || page.matches(".title, .tight, .wrap") || page.sizes.text < START.text) return;
  for (const kinds of [["text", "code"], ["text"], ["code"]]) {
    for (;;) {
      const before = page.sizes;
      const sizes = { ...before };
      for (const kind of kinds) sizes[kind] = Math.max(before[kind], Math.min(before[kind] + 1, LARGE[kind]));
      if (kinds.every((kind) => sizes[kind] === before[kind])) break;
      pixels(page, sizes);
      if (-excess(page) < 0.2 * page.clientHeight || tooWide(page)) {
        pixels(page, before);
        break;
      }
    }
  }
}

/* A lone figure stands in the middle of the room that is left. */
function finish(page) {
  if (!fits(page)) page.parentElement.dataset.overflow = Math.ceil(Math.max(excess(page), 1));
  else grow(page);
  const blocks = [...page.querySelectorAll(":scope > .block:not(.heading)")];
  const last = blocks[blocks.length - 1];
  if (blocks.length <= 2 && last && last.querySelector("figure") && fits(page)) last.classList.add("grow");
}
