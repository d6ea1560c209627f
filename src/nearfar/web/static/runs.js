// The list of all runs: filtered and sorted by the server, kept up to date.
import { ask, element, keepOn, showProgress, Unanswered } from "./common.js";

const at = (id) => document.getElementById(id);
const table = at("runs");
const heads = [...table.tHead.querySelectorAll("th")];
const most = Number(table.dataset.most);
const wanted = { filter: "", sort: "name", reverse: false, most: 200 };
const ticked = new Set();
let busy = false;

function parameters() {
  const { reverse, ...others } = wanted;
  return Object.entries(reverse ? { ...others, reverse: "" } : others);
}

async function refresh({ anew = false } = {}) {
  try {
    const found = await ask("runs", parameters(), { anew });
    at("wrong").textContent = "";
    if (found) show(found);
  } catch (error) {
    if (!(error instanceof Unanswered)) at("wrong").textContent = error.message.replace(/^--filter /, "");
  }
  return 3;
}

function show(found) {
  const { rows } = found;
  at("summary").textContent = found.found
    ? `${found.found.toLocaleString("en")} run${found.found === 1 ? "" : "s"}: ${found.states}.` +
      (found.wanted < found.found ? ` Shown: ${found.wanted.toLocaleString("en")}.` : "")
    : "No run yet.";
  const body = table.tBodies[0];
  const held = document.activeElement?.dataset?.run;
  body.replaceChildren(...rows.map(rowOf));
  if (held) body.querySelector(`input[data-run="${held}"]`)?.focus();
  table.hidden = rows.length === 0;
  at("none").hidden = rows.length > 0;
  at("none").textContent = found.found
    ? "No run is so."
    : "There is no run in this folder yet. The page shows it as soon as one begins: nearfar train --out a folder in here.";
  const more = found.wanted - rows.length;
  at("more").hidden = more <= 0;
  at("more").textContent = `Show ${Math.min(more, 200).toLocaleString("en")} of ${more.toLocaleString("en")} more`;
  showBroken(found);
  showTicked();
}

function rowOf(run) {
  const box = element("input", { type: "checkbox", checked: ticked.has(run.id), "data-run": run.id,
    "aria-label": `compare ${run.cells[0]}` });
  box.addEventListener("change", () => {
    if (box.checked) ticked.add(run.id);
    else ticked.delete(run.id);
    showTicked();
  });
  const row = element("tr", {}, element("td", {}, box));
  run.cells.forEach((text, place) => {
    const column = heads[place].dataset.column;
    if (column === "name") {
      row.append(element("th", { scope: "row" }, element("a", { href: `run?id=${run.id}` }, text)));
    } else if (column === "state") {
      row.append(stateOf(run, text));
    } else {
      row.append(element("td", { className: heads[place].className }, text));
    }
    row.lastChild.dataset.column = column;
  });
  return row;
}

function stateOf(run, text) {
  const cell = element("td", {}, element("span", { className: "state", "data-state": run.state }, text));
  if (run.progress) {
    cell.append(element("span", { className: "bar-of-run" }, element("span")), element("span", { className: "far" }));
    showProgress(cell, run.state, run.progress);
  }
  return cell;
}

function showTicked() {
  for (const box of table.querySelectorAll("input[type=checkbox]")) {
    box.disabled = !box.checked && ticked.size >= most;
  }
  at("compare").disabled = ticked.size < 2;
  at("compare").textContent = ticked.size < 2 ? "Compare" : `Compare ${ticked.size}`;
}

function showBroken({ broken, more_broken: more }) {
  const place = at("broken");
  const count = broken.length + more;
  place.hidden = count === 0;
  place.querySelector("summary").textContent =
    `${count.toLocaleString("en")} folder${count === 1 ? "" : "s"} could not be read`;
  place.querySelector("ul").replaceChildren(
    ...broken.map((line) => element("li", {}, line)),
    ...(more ? [element("li", {}, `and ${more.toLocaleString("en")} more`)] : []),
  );
}

function showSorting() {
  for (const head of heads) {
    if (head.dataset.column !== wanted.sort) head.removeAttribute("aria-sort");
    else head.setAttribute("aria-sort", wanted.reverse === ("highest" in head.dataset) ? "ascending" : "descending");
  }
}

heads.forEach((head) => head.querySelector("button").addEventListener("click", () => {
  wanted.reverse = wanted.sort === head.dataset.column && !wanted.reverse;
  wanted.sort = head.dataset.column;
  showSorting();
  refresh({ anew: true });
}));

at("filter").addEventListener("input", () => {
  clearTimeout(busy);
  busy = setTimeout(() => {
    wanted.filter = at("filter").value;
    refresh({ anew: true });
  }, 250);
});
at("find").addEventListener("submit", (event) => {
  event.preventDefault();
  if (ticked.size > 1) location.href = `run?${new URLSearchParams([...ticked].map((run) => ["id", run]))}`;
});
at("more").addEventListener("click", () => {
  wanted.most += 200;
  refresh({ anew: true });
});

showSorting();
keepOn(refresh);
