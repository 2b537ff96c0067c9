/* Search over an index that came with the page (window.SEARCH_INDEX), and maths where there is any. */
"use strict";

const box = document.querySelector(".search input");
const results = document.querySelector(".search ul");
const home = document.documentElement.dataset.home;
let chosen = -1;

const plain = (text) => text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
const INDEX = (window.SEARCH_INDEX || []).map((entry) => ({ ...entry, title: plain(entry.t), text: plain(entry.x) }));

/* Every word must occur; words at the start of a title count most. */
function score(entry, words) {
  let total = 0;
  for (const word of words) {
    const at = entry.title.indexOf(word);
    const inText = entry.text.indexOf(word);
    if (at < 0 && inText < 0) return 0;
    if (at >= 0) total += 10 + (at === 0 ? 8 : /\W/.test(entry.title[at - 1]) ? 4 : 0) + (entry.title.length === word.length ? 20 : 0);
    if (inText >= 0) total += 1 + (inText === 0 || /\W/.test(entry.text[inText - 1]) ? 1 : 0);
  }
  return total;
}

function escaped(text) {
  const span = document.createElement("span");
  span.textContent = text;
  return span.innerHTML;
}

function marked(text, words) {
  const safe = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return escaped(text).replace(new RegExp(`(${safe.join("|")})`, "gi"), "<mark>$1</mark>");
}

function snippet(entry, words) {
  const at = Math.max(0, Math.min(...words.map((word) => entry.text.indexOf(word)).filter((k) => k >= 0)) - 50);
  return (at > 0 && at < Infinity ? "…" : "") + entry.x.substr(Number.isFinite(at) ? at : 0, 130);
}

function show() {
  const words = plain(box.value).split(/\s+/).filter((word) => word.length > 1);
  chosen = -1;
  results.innerHTML = "";
  if (!words.length) return;
  const found = INDEX.map((entry) => [score(entry, words), entry]).filter(([points]) => points > 0);
  found.sort((a, b) => b[0] - a[0]);
  results.innerHTML = found.slice(0, 20).map(([, entry]) =>
    `<li><a href="${home}${entry.u}"><b>${marked(entry.t, words)}</b> <small>${escaped(entry.k)} · ${marked(snippet(entry, words), words)}</small></a></li>`
  ).join("") || "<li><a><small>Nothing found.</small></a></li>";
}

function move(step) {
  const links = [...results.querySelectorAll("a[href]")];
  if (!links.length) return;
  chosen = (chosen + step + links.length) % links.length;
  links.forEach((link, k) => link.setAttribute("aria-selected", String(k === chosen)));
  links[chosen].scrollIntoView({ block: "nearest" });
}

if (box) {
  box.addEventListener("input", show);
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Escape") { box.value = ""; show(); }
    else if (event.key === "Enter") { const link = results.querySelectorAll("a[href]")[Math.max(chosen, 0)]; if (link) link.click(); }
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== box) { event.preventDefault(); box.focus(); }
  });
}
for (const box of window.katex ? document.querySelectorAll("main .maths") : []) {
  katex.render(box.textContent, box, { displayMode: box.classList.contains("display"), throwOnError: false });
}
document.documentElement.dataset.ready = "true";
