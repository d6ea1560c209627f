// What the pages share. Whatever comes from a run is put in as text, never as HTML.

/** An element with properties, and children that are elements or texts. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** "running: …" beside its bar, in the place that a page has for it. */
export function showProgress(place, state, progress) {
  place.querySelector(".state").textContent = state;
  place.querySelector(".state").dataset.state = state;
  place.querySelector(".far").textContent = progress.text;
  const bar = place.querySelector(".bar-of-run");
  bar.hidden = progress.share === null;
  bar.firstElementChild.style.width = `${100 * (progress.share ?? 0)}%`;
}

const tags = new Map();

/**
 * Asks the server; what it said before and says again comes as null.
 * An error that it tells is thrown; where nobody answers, the page says so until somebody does.
 */
export async function ask(path, parameters = [], { anew = false } = {}) {
  const address = `api/${path}?${new URLSearchParams(parameters)}`;
  const tag = anew ? undefined : tags.get(path + address);
  let answer;
  try {
    answer = await fetch(address, { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
  } catch {
    tellLost("The server does not answer: it was stopped, or this machine sleeps.");
    throw new Unanswered();
  }
  if (answer.status === 403) {
    tellLost("The server was started anew: open the address that it printed.");
    throw new Unanswered();
  }
  tellLost("");
  if (answer.status === 304) return null;
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  tags.set(path + address, answer.headers.get("ETag"));
  return said;
}

export class Unanswered extends Error {}

function tellLost(text) {
  const place = document.getElementById("lost");
  place.textContent = text;
  place.hidden = !text;
}

/** Calls a function now and again, which says in how many seconds; not while nobody looks. */
export async function keepOn(step) {
  for (;;) {
    const seconds = await step();
    if (!seconds) return;
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    while (document.hidden) {
      await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
    }
  }
}
