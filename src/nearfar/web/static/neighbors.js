// Examples of a run, and what its encoder finds nearest to one that is chosen, or to typed words.
import { ask, element, keepOn, Unanswered } from "./common.js";

const at = (id) => document.getElementById(id);
const run = at("picker").dataset.run;
let asks = {};
let first = 0;
let waiting = 0;
let asked = 0;

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
    at("notes").textContent = state.notes.map(sentence).join(" ");
    offer(state.asks);
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

/** What can be asked of this run besides neighbours of its own kind. */
function offer(offered) {
  asks = offered;
  at("asking").hidden = !asks.typed && !asks.across;
  at("typed-label").textContent = asks.typed ? `Find ${asks.typed} by words` : "";
  for (const id of ["typed-label", "typed", "look"]) at(id).hidden = !asks.typed;
  at("typed").maxLength = asks.letters;
  at("among").replaceChildren(...asks.among.map((part) => element("option", { value: part }, part)));
  at("among").parentElement.hidden = asks.among.length < 2;
  if (!asks.typed && asks.among.length < 2) at("asking").hidden = true;
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

/** Answers what the address asks for: a row of the examples, or words. */
async function answerAddress() {
  const given = location.hash.slice(1);
  const among = asks.among.length ? [["among", at("among").value]] : [];
  if (/^\d+$/.test(given)) {
    await answer(ask("nearest", [["id", run], ["row", given], ...(asks.across ? among : [])], { anew: true }));
  } else if (given.startsWith("text=") && asks.typed) {
    at("typed").value = typedIn(given);
    await answer(ask("typed", [["id", run], ["text", at("typed").value], ...among], { anew: true }));
  } else {
    at("answer").hidden = true;
  }
}

function typedIn(given) {
  try {
    return decodeURIComponent(given.slice("text=".length));
  } catch {
    return "";
  }
}

async function answer(asking) {
  asked += 1;
  const own = asked;
  try {
    const said = await asking;
    // Of what is asked quickly after one another only the last is shown.
    if (own === asked) show(said);
  } catch (error) {
    if (error instanceof Unanswered || own !== asked) return;
    at("answer").hidden = true;
    const place = at("asking").hidden ? at("told") : at("wrong");
    place.textContent = sentence(error.message);
  }
}

function show({ query, title, nearest, across, notes = [] }) {
  at("wrong").textContent = "";
  at("query").replaceChildren(
    element("figure", { className: `query${query.words ? " text" : ""}` }, sight(query),
      caption(query, [query.label, query.name, ...notes])),
  );
  at("beyond").hidden = !across;
  if (across) {
    at("across-title").textContent = across.title;
    at("own").textContent = across.own ?? "";
    at("across").replaceChildren(...across.nearest.map(found));
  }
  at("title").textContent = title;
  at("nearest").replaceChildren(...nearest.map(found));
  at("answer").hidden = false;
  at("answer").scrollIntoView({ block: "nearest" });
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

const mark = ({ right }) => (right === true ? "✓ " : right === false ? "✗ " : "");

function found(near) {
  const kind = near.right === true ? "right" : near.right === false ? "wrong" : "";
  return element("figure", { className: `${kind}${near.words ? " text" : ""}` },
    sight(near), caption(near, [`${mark(near)}${near.similarity.toFixed(3)}`, near.label ?? near.name]));
}

function sight({ uri, words, name, pixels }) {
  if (!uri) return element("p", { className: "words", dir: "auto" }, words);
  return element("img", { src: uri, alt: name, className: pixels ? "square" : "" });
}

function caption({ name }, parts) {
  const shown = [...new Set(parts.filter((part) => part !== null && part !== undefined && part !== ""))];
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

at("typing").addEventListener("submit", (event) => {
  event.preventDefault();
  const address = `#text=${encodeURIComponent(at("typed").value)}`;
  if (location.hash === address) answerAddress();
  else location.hash = address;
});
at("among").addEventListener("change", answerAddress);
at("text").addEventListener("input", () => {
  clearTimeout(waiting);
  first = 0;
  waiting = setTimeout(told(list), 250);
});
at("before").addEventListener("click", told(() => { first = Math.max(0, first - 48); return list(); }));
at("after").addEventListener("click", told(() => { first += 48; return list(); }));
addEventListener("hashchange", answerAddress);

keepOn(untilReady);
