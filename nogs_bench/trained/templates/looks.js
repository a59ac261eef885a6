"use strict";
const page = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const canvas = at("canvas"), paper = canvas.getContext("2d");
const scale = canvas.width / page.size;
let current = 0, timer = null;
const pictures = page.cases.map(each => { const image = new Image(); image.onload = show; image.src = each.image; return image; });
function box(place, number, colour) {
  const [row, col] = place, side = page.glimpse * scale;
  paper.strokeStyle = paper.fillStyle = colour;
  paper.lineWidth = 2.5;
  paper.strokeRect(col * scale, row * scale, side, side);
  paper.font = "bold 15px system-ui";
  paper.fillText(number, col * scale + 4, row * scale + 16);
}
function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }
function show() {
  const one = page.cases[current], steps = Number(at("step").value), picture = pictures[current];
  paper.imageSmoothingEnabled = false;
  paper.globalAlpha = 1;
  paper.fillStyle = "#dedede";
  paper.fillRect(0, 0, canvas.width, canvas.height);
  if (picture.complete && picture.naturalWidth) {
    paper.globalAlpha = at("whole").checked ? 1 : 0.12;
    paper.drawImage(picture, 0, 0, canvas.width, canvas.height);
    paper.globalAlpha = 1;
    const g = page.glimpse;
    for (const [row, col] of one.glimpses.slice(0, steps))
      paper.drawImage(picture, col, row, g, g, col * scale, row * scale, g * scale, g * scale);
  }
  const optimal = at("optimal");
  if (optimal && optimal.checked && one.optimal) one.optimal.forEach((place, n) => box(place, n + 1, colour("--optimal")));
  one.glimpses.slice(0, steps).forEach((place, n) => box(place, n + 1, colour("--seen")));
  at("name").textContent = one.name;
  at("steps").textContent = steps + " of " + page.T;
  const bars = at("bars");
  bars.replaceChildren();
  if (steps) one.shown.forEach((number, place) => {
    const belief = one.beliefs[steps - 1][place], row = document.createElement("div");
    row.className = "bar" + (number === one.label ? " true" : "") + (number !== one.answer ? "" : one.label === null ? " guess" : " said");
    const name = document.createElement("span"), track = document.createElement("div"), bar = document.createElement("i"), value = document.createElement("span");
    name.textContent = name.title = page.classes[number];
    bar.style.width = 100 * belief + "%";
    value.textContent = Math.round(100 * belief) + " %";
    track.append(bar);
    row.append(name, track, value);
    bars.append(row);
  });
  at("verdict").textContent = steps < page.T ? "" : one.verdict;
  for (const pick of document.querySelectorAll(".pick"))
    if (Number(pick.dataset.n) === current) pick.setAttribute("aria-current", "true"); else pick.removeAttribute("aria-current");
}
function go(step) { at("step").value = Math.max(0, Math.min(page.T, step)); show(); }
function stop() { clearInterval(timer); timer = null; at("play").textContent = "Watch"; }
function watch() {
  if (timer) return stop();
  go(0);
  at("play").textContent = "Stop";
  timer = setInterval(() => { const step = Number(at("step").value); if (step >= page.T) stop(); else go(step + 1); }, 800);
}
at("step").addEventListener("input", show);
at("whole").addEventListener("change", show);
if (at("optimal")) at("optimal").addEventListener("change", show);
at("next").addEventListener("click", () => go(Number(at("step").value) + 1));
at("back").addEventListener("click", () => go(Number(at("step").value) - 1));
at("play").addEventListener("click", watch);
for (const pick of document.querySelectorAll(".pick"))
  pick.addEventListener("click", () => { stop(); current = Number(pick.dataset.n); go(page.T); });
go(page.T);
