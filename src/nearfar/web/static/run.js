// One run, or several over one another: how far they are, and a chart for all that was logged.
import { ask, element, keepOn, showProgress, Unanswered } from "./common.js";

const { painted, config } = window.nearfarPaint;
const at = (id) => document.getElementById(id);
const lines = new Map([...document.querySelectorAll("[data-run]")].map((line) => [line.dataset.run, line]));
const asked = [...lines.keys()].map((run) => ["id", run]);
const figures = new Map();
let states = null;

async function step() {
  try {
    const found = await ask("curves", asked);
    if (found) show(found);
  } catch (error) {
    if (error instanceof Unanswered) return 5;
    at("no-curves").hidden = false;
    at("no-curves").textContent = error.message;
    return 10;
  }
  return states.includes("running") || states.includes("begun") ? 2 : 10;
}

function show({ runs, charts }) {
  const now = runs.map(({ state }) => state);
  // What the page says of the evaluation is as old as the page: a run that has ended is shown anew.
  if (states && states.some((state, place) => state === "running" && now[place] !== state)) location.reload();
  states = now;
  for (const { id, state, progress } of runs) showProgress(lines.get(id), state, progress);
  at("told").replaceChildren(
    ...runs.flatMap(({ told }) => told.map((text) => element("p", { className: "notice" }, text))),
  );
  at("fresh").textContent = now.includes("running") ? "live" : "";
  at("no-curves").hidden = charts.length > 0;
  at("no-curves").textContent = "No training step has been logged yet.";
  charts.forEach(draw);
}

function draw({ id, title, figure }) {
  let box = figures.get(id)?.box;
  if (!box) {
    box = element("div", { className: "chart", role: "img", "aria-label": `${title}, against steps` });
    const caption = element("figcaption", {}, title);
    at("charts").append(element("figure", {}, caption, box));
  }
  figures.set(id, { box, figure });
  paint(box, figure);
}

function paint(box, figure) {
  const { data, layout } = painted(figure);
  // What a person has zoomed to stays while points come in.
  layout.uirevision = "kept";
  Plotly.react(box, data, layout, config);
  box.dataset.drawn = "yes";
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const { box, figure } of figures.values()) paint(box, figure);
});

keepOn(step);
