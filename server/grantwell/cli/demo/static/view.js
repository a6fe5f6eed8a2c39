// Everything that is put on the page. Texts are set as text and never parsed, whoever wrote them.

import { keptOf, nameOf, partsOf } from "./client.js";
import { RECEIVED, SENT } from "./words.js";

/** An element with attributes and children; a child that is a string becomes text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const REASONS = {
  200: "OK", 201: "Created", 204: "No Content", 303: "See Other", 400: "Bad Request", 401: "Unauthorized",
  403: "Forbidden", 404: "Not Found", 409: "Conflict", 429: "Too Many Requests", 503: "Service Unavailable",
};

function lines(pairs, separator) {
  return Object.entries(pairs ?? {}).map(([name, value]) => `${name}${separator}${value}`).join("\n");
}

function requestText({ method, url, headers, form, json }) {
  const { pathname, search } = new URL(url);
  const parts = [`${method} ${pathname}`, lines(headers, ": ")].filter((part) => part !== "");
  const query = lines(Object.fromEntries(new URLSearchParams(search)), " = ");
  const body = form !== undefined ? lines(form, " = ") : json !== undefined ? JSON.stringify(json, null, 2) : query;
  return [parts.join("\n"), body].filter((part) => part !== "").join("\n\n");
}

function answerText({ status, headers, json, text }) {
  const head = [`${status} ${REASONS[status] ?? ""}`.trim(), lines(headers, ": ")].filter((part) => part !== "").join("\n");
  const body = json !== undefined ? JSON.stringify(json, null, 2) : text ?? "";
  return body === "" ? head : `${head}\n\n${body}`;
}

function members({ url, headers, form, json }) {
  const query = Object.fromEntries(new URL(url).searchParams);
  return { ...headers, ...query, ...form, ...json };
}

/** The names that have an explanation which was not given yet, as a list; null if there is none. */
function explained(title, names, words, seen) {
  const fresh = names.filter((name) => Object.hasOwn(words, name) && !seen.has(`${title}/${name}`));
  if (fresh.length === 0) return null;
  const list = element("dl", { class: "values" });
  for (const name of fresh) {
    seen.add(`${title}/${name}`);
    list.append(element("div", {}, element("dt", {}, element("code", {}, name)), element("dd", {}, words[name])));
  }
  return element("div", {}, element("h4", {}, title), list);
}

/** A token, its parts told apart, and what the server keeps of it. */
async function anatomy(token) {
  const parts = partsOf(token);
  const whole = element("p", { class: "token" }, ...parts.map(([name, text]) => element("span", { "data-part": name }, text)));
  const list = element("dl", { class: "values" });
  for (const [name, , meaning] of parts) {
    list.append(element("div", {}, element("dt", { "data-part": name }, name), element("dd", {}, meaning)));
  }
  const kept = element("div", {},
    element("dt", {}, "What the server keeps of it"),
    element("dd", {}, element("code", { class: "kept" }, await keptOf(token)), " a hash; the token cannot be had back from it"),
  );
  list.append(kept);
  const title = element("h4", {}, `What ${nameOf(token)} is made of`);
  return element("div", { class: "anatomy" }, title, whole, list);
}

function tokensIn({ json }) {
  const values = ["code", "access_token", "refresh_token"].map((name) => json?.[name]);
  return values.filter((value) => typeof value === "string" && partsOf(value).length > 0);
}

/** A text that scrolls in itself when it is long, for the keyboard too. */
function scrolled(name, text) {
  return element("pre", { tabindex: "0", role: "group", "aria-label": name }, text);
}

/** One request with its answer. `seen` collects what was explained before; tokens are taken apart where they are new. */
export async function shownExchange({ request, answer }, seen, open) {
  const path = new URL(request.url).pathname;
  const good = answer.status < 400;
  const badge = element("span", { class: good ? "badge good" : "badge refused" }, `${answer.status} ${REASONS[answer.status] ?? ""}`);
  const shown = element("details", { class: "exchange" },
    element("summary", {}, element("code", {}, `${request.method} ${path}`), badge),
    element("div", { class: "pair" },
      element("div", {}, element("h4", {}, "Request"), scrolled("Request", requestText(request))),
      element("div", {}, element("h4", {}, "Answer"), scrolled("Answer", answerText(answer))),
    ),
  );
  shown.open = open;
  const received = [...Object.keys(answer.headers), ...Object.keys(answer.json ?? {})];
  const columns = [
    explained("What was sent", Object.keys(members(request)), SENT, seen),
    explained("What came back", received, RECEIVED, seen),
  ].filter((column) => column !== null);
  if (columns.length > 0) shown.append(element("div", { class: "pair" }, ...columns));
  for (const token of tokensIn(answer)) {
    const kind = `anatomy of ${token.slice(0, 4)}`;
    if (seen.has(kind)) continue;
    seen.add(kind);
    shown.append(await anatomy(token));
  }
  return shown;
}

/** The card of a step: what it does and why, its button, and room for what comes out. */
export function stepCard(step, number) {
  const heading = `step-${step.id}`;
  const card = element("li", { class: "step", id: step.id, "data-state": "waiting" },
    element("div", { class: "head" },
      element("span", { class: "number", "aria-hidden": "true" }, String(number)),
      element("div", {}, element("h3", { id: heading }, step.title), element("p", { class: "why" }, step.why)),
    ),
    element("p", { class: "actions" }),
    element("p", { class: "outcome", hidden: "" }),
    element("div", { class: "exchanges" }),
  );
  card.querySelector(".actions").append(element("button", { type: "button", "aria-describedby": heading }, step.button));
  return card;
}

/** What the tab holds, newest first. */
export function holdings(tab) {
  const items = [];
  if (tab.client !== null) {
    items.push(element("li", {}, element("strong", {}, "Client"), element("code", {}, tab.client.client_id)));
  }
  for (const { kind, number, value, scope, state } of tab.tokens.toReversed()) {
    const name = kind === "access" ? "Access token" : "Refresh token";
    items.push(element("li", { "data-state": state },
      element("strong", {}, `${name} ${number}`),
      element("span", { class: `badge ${state === "live" ? "good" : "refused"}` }, state),
      element("code", {}, `${value.slice(0, 10)}…${value.slice(-6)}`),
      ...(kind === "access" ? [element("span", { class: "scope" }, scope)] : []),
    ));
  }
  return items.length > 0 ? items : [element("li", { class: "none" }, "Nothing yet.")];
}
