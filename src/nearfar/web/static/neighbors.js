// Examples of a run, and what its encoder finds nearest to the one that is chosen.
import { ask, element, keepOn, Unanswered } from "./common.js";

const at = (id) => document.getElementById(id);
const run = at("picker").dataset.run;
let first = 0;
let waiting = 0;

async function untilReady() {
  try {
    const state = await ask("search", [["id", run]]);
    if (!state) return 1;
    if (state.failed) {
      at("told").textContent = `${state.failed}.`;
      return 0;
    }
    if (!state.ready) {
      at("told").textContent = `${state.doing} …`;
      return 1;
    }
    at("told").textContent = `${state.told}.`;
    at("notes").replaceChildren(...state.notes.map((note) => element("p", { className: "note" }, note)));
    at("picker").hidden = false;
    await list();
    await answerAddress();
    return 0;
  } catch (error) {
    if (error instanceof Unanswered) return 5;
    at("told").textContent = `${error.message}.`;
    return 0;
  }
}

async function list() {
  const found = await ask("examples", [["id", run], ["find", at("text").value], ["first", first]], { anew: true });
  const last = first + found.examples.length;
  at("count").textContent = found.total ? `${first + 1} to ${last} of ${found.total.toLocaleString("en")}` : "none is so";
  at("before").disabled = first === 0;
  at("after").disabled = last >= found.total;
  at("examples").replaceChildren(...found.examples.map((example) => {
    const link = element("a", { href: `#${example.row}`, title: example.name }, sight(example));
    return element("figure", { className: example.words ? "text" : "" }, link, caption(example, [example.label ?? example.name]));
  }));
}

async function answerAddress() {
  const row = location.hash.slice(1);
  if (!/^\d+$/.test(row)) return;
  try {
    const { query, nearest } = await ask("nearest", [["id", run], ["row", row]], { anew: true });
    at("query").replaceChildren(
      element("figure", { className: `query${query.words ? " text" : ""}` }, sight(query),
        caption(query, [query.label, query.name])),
    );
    at("nearest").replaceChildren(...nearest.map((near) => element("figure",
      { className: `${near.right === true ? "right" : near.right === false ? "wrong" : ""}${near.words ? " text" : ""}` },
      sight(near), caption(near, [`${mark(near)}${near.similarity.toFixed(2)}`, near.label ?? near.name]))));
    at("answer").hidden = false;
    at("answer").scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (!(error instanceof Unanswered)) at("told").textContent = `${error.message}.`;
  }
}

const mark = ({ right }) => (right === true ? "✓ " : right === false ? "✗ " : "");

function sight({ uri, words, name, pixels }) {
  if (!uri) return element("p", { className: "words", dir: "auto" }, words);
  return element("img", { src: uri, alt: name, className: pixels ? "square" : "" });
}

function caption({ name }, parts) {
  const shown = [...new Set(parts.filter((part) => part !== null && part !== undefined))];
  return element("figcaption", { title: name }, ...shown.map((part) => element("span", {}, part)));
}

function told(action) {
  return async () => {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof Unanswered)) at("told").textContent = `${error.message}.`;
    }
  };
}

at("text").addEventListener("input", () => {
  clearTimeout(waiting);
  first = 0;
  waiting = setTimeout(told(list), 250);
});
at("before").addEventListener("click", told(() => { first = Math.max(0, first - 48); return list(); }));
at("after").addEventListener("click", told(() => { first += 48; return list(); }));
addEventListener("hashchange", answerAddress);

keepOn(untilReady);
