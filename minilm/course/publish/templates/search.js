/* Search over an index that came with the page (window.SEARCH_INDEX): lessons first, then what is
   asked and claimed, then the reference. A word that occurs nowhere stands for the words that differ
   from it by a slip of the finger. */
"use strict";

const box = document.querySelector(".search input");
const results = document.querySelector(".search ul");
const home = document.documentElement.dataset.home;
const ROOMS = [[/^lesson /, 10], [/^exercise /, 4], [/^claim$/, 4], [/./, 20]]; // kind, how many are shown
let chosen = -1;

const plain = (text) => text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
const INDEX = (window.SEARCH_INDEX || []).map((entry) => ({
  ...entry, title: plain(entry.t), text: plain(entry.x), room: ROOMS.findIndex(([kind]) => kind.test(entry.k)),
}));
let known = null; // every word of the index, when first needed

/* One of the words must occur; words at the start of a title count most. */
function scoreOf(entry, alike) {
  let best = 0;
  for (const word of alike) {
    const at = entry.title.indexOf(word);
    const inText = entry.text.indexOf(word);
    let points = 0;
    if (at >= 0) points += 10 + (at === 0 ? 8 : /\W/.test(entry.title[at - 1]) ? 4 : 0) + (entry.title.length === word.length ? 20 : 0);
    if (inText >= 0) points += 1 + (inText === 0 || /\W/.test(entry.text[inText - 1]) ? 1 : 0);
    best = Math.max(best, points);
  }
  return best;
}

/* Every word that was typed must occur, or one that is meant by it. */
function score(entry, words) {
  let total = 0;
  for (const alike of words) {
    const points = scoreOf(entry, alike);
    if (!points) return 0;
    total += points;
  }
  return total;
}

/* Slips between two words: letters left out, added, changed, or two neighbours swapped; `most` + 1
   where there are more than `most`. */
function slips(a, b, most) {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let [older, old] = [null, [...Array(b.length + 1).keys()]];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(old[j] + 1, row[j - 1] + 1, old[j - 1] + (a[i - 1] !== b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], older[j - 2] + 1);
    }
    if (Math.min(...row) > most) return most + 1;
    [older, old] = [old, row];
  }
  return old[b.length];
}

/* What may be meant by a word: itself where it occurs, else the words nearest to it. */
function meant(word) {
  if (word.length < 4 || INDEX.some((entry) => entry.title.includes(word) || entry.text.includes(word))) return [word];
  known = known || [...new Set(INDEX.flatMap((entry) => `${entry.title} ${entry.text}`.match(/[\p{L}\d_]{3,}/gu) || []))];
  let [least, near] = [word.length < 8 ? 1 : 2, []];
  for (const other of known) {
    const count = Math.min(slips(word, other, least), slips(word, other.slice(0, word.length), least));
    if (count < least) [least, near] = [count, []];
    if (count === least) near.push(other);
  }
  return near.length ? near : [word];
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

function found(typed) {
  const words = plain(typed).split(/\s+/).filter((word) => word.length > 1).map(meant);
  const scored = words.length ? INDEX.map((entry) => [score(entry, words), entry]).filter(([points]) => points > 0) : [];
  scored.sort((a, b) => b[0] - a[0]);
  const shown = ROOMS.flatMap(([, most], room) => scored.filter(([, entry]) => entry.room === room).slice(0, most));
  return [words, shown.slice(0, 24).map(([, entry]) => entry)];
}

function show() {
  const [words, entries] = found(box.value);
  chosen = -1;
  results.innerHTML = "";
  if (!words.length) return;
  const all = words.flat();
  results.innerHTML = entries.map((entry) =>
    `<li><a href="${home}${entry.u}"><b>${marked(entry.t, all)}</b> <small>${escaped(entry.k)} · ${marked(snippet(entry, all), all)}</small></a></li>`
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
