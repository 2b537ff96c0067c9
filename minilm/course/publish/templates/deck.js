/* Fits every slide to 1280 x 720 before reveal.js takes over, and splits what cannot fit.

   In order: smaller code (22 to 18 px), smaller figures, smaller text (30 to 25 px), then a second
   slide under the same heading, then code down to 15 px. What is still too large is marked
   data-overflow, and tests fail on it. */
"use strict";

const COMFORT = { code: 18, text: 25, figure: 340 };
const LEAST = { code: 15, text: 22, figure: 220 };
const INTRODUCED = { code: 16, text: 25, figure: 300 };
const START = { code: 22, text: 30, figure: 560 };
const LARGE = { code: 26, text: 35 };

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
    if (box.scrollWidth > box.clientWidth + 4) return true;
  }
  const right = page.getBoundingClientRect().right - 40;
  return [...page.querySelectorAll("table, .katex-html")].some((box) => box.getBoundingClientRect().right > right);
}

const fits = (page) => excess(page) <= 0 && !tooWide(page);

function shrink(page, least) {
  const sizes = { ...START };
  pixels(page, sizes);
  const picture = page.querySelector("img") !== null;
  const code = page.querySelector("pre") !== null;
  while (!fits(page)) {
    if (code && sizes.code > 20 && sizes.code > least.code) sizes.code -= 1;
    else if (picture && sizes.figure > least.figure && excess(page) > 0) sizes.figure -= 20;
    else if (code && sizes.code > least.code) sizes.code -= 1;
    else if (sizes.text > least.text) sizes.text -= 1;
    else return false;
    pixels(page, { ...sizes });
  }
  return true;
}

/* Cut a page in two: the second has the same heading and whatever did not fit on the first. */
function split(page) {
  const section = page.parentElement;
  const blocks = [...page.querySelectorAll(":scope > .block")];
  const heading = blocks.length && blocks[0].classList.contains("heading") ? blocks[0] : null;
  const body = heading ? blocks.slice(1) : blocks;
  const show = (wanted) => body.forEach((block, k) => { block.style.display = wanted(k) ? "" : "none"; });
  pixels(page, COMFORT);
  let keep = body.length;
  do show((k) => k < keep); while (!fits(page) && --keep > 0);
  if (keep === body.length) return null;
  /* a few words before a listing stay with it if slightly smaller code makes that possible */
  show(() => true);
  const few = keep === 1 && !body[0].querySelector("pre, img") && body[1].querySelector("pre");
  if (few && shrink(page, INTRODUCED)) return page;
  pixels(page, COMFORT);
  show((k) => k === keep);
  const alone = fits(page);
  show((k) => k <= keep);
  const tail = alone ? null : cutCode(page, body[keep]) || (keep === 0 && cutItems(page, body[0]));
  show(() => true);
  let rest = tail ? [tail, ...body.slice(keep + 1)] : body.slice(Math.max(keep, 1));
  if (!rest.length) return null;
  /* an introduction that ends in ":" goes with what it introduces */
  if (!tail && keep > 1 && /:\s*$/.test(body[keep - 1].textContent)) rest = [body[keep - 1], ...rest];
  const next = section.cloneNode(false);
  next.removeAttribute("id");
  const second = page.cloneNode(false);
  if (heading) {
    const again = heading.cloneNode(true);
    if (!again.querySelector(".more")) again.querySelector("h1,h2,h3").insertAdjacentHTML("beforeend", ' <span class="more">continued</span>');
    second.append(again);
  }
  second.append(...rest, page.querySelector(".foot").cloneNode(true));
  next.append(second);
  for (const notes of section.querySelectorAll(":scope > aside.notes")) next.append(notes.cloneNode(true));
  section.after(next);
  return second;
}

/* Keep as many lines of a long listing as fit below what is shown; the rest is returned. Pages get
   even shares, cut at a blank line if one is close. */
function cutCode(page, block) {
  const pre = block.querySelector("pre");
  if (!pre) return null;
  const inner = pre.querySelector("code") || pre;
  const whole = inner.innerHTML;
  const lines = whole.replace(/\n$/, "").split("\n");
  if (lines.length < 12) return null;
  const with_ = (count) => { inner.innerHTML = lines.slice(0, count).join("\n"); return fits(page); };
  let low = 0, high = lines.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (with_(middle)) low = middle; else high = middle - 1;
  }
  inner.innerHTML = whole;
  if (low < 6) return null;
  const blank = (line) => line.replace(/<[^>]*>/g, "").trim() === "";
  let cut = Math.min(low, Math.ceil(lines.length / Math.ceil(lines.length / low)) + 2);
  for (let k = cut; k > cut * 0.7; k--) if (blank(lines[k])) { cut = k; break; }
  inner.innerHTML = lines.slice(0, cut).join("\n");
  while (cut < lines.length && blank(lines[cut])) cut += 1;
  const tail = block.cloneNode(true);
  (tail.querySelector("pre code") || tail.querySelector("pre")).innerHTML = lines.slice(cut).join("\n");
  for (const after of block.querySelectorAll(".highlight ~ p")) after.remove();
  return tail;
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
  return tail;
}

function place(page) {
  for (let pages = 0; page && pages < 12; pages++) {
    if (shrink(page, COMFORT)) break;
    const next = split(page);
    if (next === page) break;
    if (!next || !shrink(page, COMFORT)) shrink(page, LEAST);
    finish(page);
    page = next;
  }
  if (page) finish(page);
}

/* A page with room to spare is set larger, up to four fifths of its height: first prose and code
   together, then whichever of them still fits. */
function grow(page) {
  if (page.querySelector("img") || page.classList.contains("title") || page.sizes.text < START.text) return;
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

async function start() {
  for (const box of document.querySelectorAll(".page .maths")) {
    katex.render(box.textContent, box, { displayMode: box.classList.contains("display"), throwOnError: false });
  }
  await Promise.all([...document.fonts].filter((face) => /Inter|JetBrains/.test(face.family)).map((face) => face.load()));
  await document.fonts.ready;
  await Promise.all([...document.images].map((image) => image.decode().catch(() => null)));
  const deck = document.querySelector(".reveal");
  deck.classList.add("measuring");
  for (const page of [...document.querySelectorAll(".page")]) place(page);
  deck.classList.remove("measuring");
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, center: false, hash: true, slideNumber: "c/t", transition: "none", controls: false,
    pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1, showNotes: /show-?notes/.test(location.search) ? "separate-page" : false,
    plugins: [RevealNotes],
  });
  document.documentElement.dataset.ready = "true";
}

start();
