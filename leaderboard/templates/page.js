"use strict";
// Without this script every table, chart and entry is there; it sorts, filters and moves the focus.

function cellValue(row, column) {
  const cell = row.cells[column];
  const said = cell.dataset.value;
  if (said === undefined) return cell.textContent.trim().toLowerCase();
  return said === "" ? null : Number(said);
}

function compareValues(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}

function sortTable(table, column) {
  const head = table.tHead.rows[0].cells;
  const descending = head[column].getAttribute("aria-sort") === "ascending";
  for (const cell of head) cell.removeAttribute("aria-sort");
  head[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows).map((row) => [cellValue(row, column), row]);
  // What has no value stays at the end, whichever way the rest goes.
  const order = ([a], [b]) =>
    a === null || b === null || !descending ? compareValues(a, b) : compareValues(b, a);
  body.append(...rows.sort(order).map(([, row]) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  Array.from(table.tHead.rows[0].cells).forEach((cell, column) => {
    cell.querySelector("button").addEventListener("click", () => sortTable(table, column));
  });
}

const form = document.getElementById("filters");
const filtered = Array.from(document.querySelectorAll("[data-method]"));

function applyFilters() {
  const given = new FormData(form);
  const methods = new Set(given.getAll("method"));
  const model = given.get("model");
  const most = given.get("cost") === "" ? Infinity : Number(given.get("cost"));
  const taughtBy = given.get("taught");
  const text = given.get("text").trim().toLowerCase();
  for (const each of filtered) {
    const { method, model: own, cost, taught } = each.dataset;
    const shown =
      methods.has(method) &&
      (model === "" || model === own) &&
      (taughtBy === "" || taughtBy === taught) &&
      Number(cost) <= most &&
      `${method} ${own}`.toLowerCase().includes(text);
    // `hidden` is no property of SVG elements.
    each.toggleAttribute("hidden", !shown);
  }
  const rows = Array.from(document.querySelectorAll(".board tbody tr"));
  const left = rows.filter((row) => !row.hasAttribute("hidden")).length;
  document.getElementById("count").textContent = `${left} of ${rows.length} entries`;
}

form.addEventListener("input", applyFilters);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(applyFilters));
applyFilters();

function light(event, on) {
  const row = event.target.closest("tr[data-entry]");
  if (!row) return;
  const chart = row.closest("section").querySelector(`g[data-entry="${row.dataset.entry}"]`);
  if (chart) chart.classList.toggle("lit", on);
}
for (const [name, on] of [["mouseover", true], ["mouseout", false], ["focusin", true], ["focusout", false]]) {
  document.addEventListener(name, (event) => light(event, on));
}

let opened = null;
function moveFocus() {
  const target = location.hash ? document.getElementById(location.hash.slice(1)) : null;
  if (target && target.classList.contains("entry")) {
    opened = target.id;
    window.scrollTo(0, target.offsetTop);
    target.querySelector("h2").focus({ preventScroll: true });
  } else if (opened) {
    const link = document.querySelector(`a[href="#${opened}"]`);
    opened = null;
    if (link) link.focus();
  }
}
window.addEventListener("hashchange", moveFocus);
moveFocus();
