// What a client of OAuth needs and a browser does not bring: PKCE, requests that can be looked at, checked answers.

const LABEL = "grantwell/token-id/v1";
const KINDS = {
  gwa_: { kind: "access", name: "an access token" },
  gwr_: { kind: "refresh", name: "a refresh token" },
  gwc_: { kind: "code", name: "an authorization code" },
};
const GRANT_ID_LENGTH = 16;
const FAMILY_LENGTH = 22;
const CHECKSUM_LENGTH = 6;

/** An answer that the step cannot go on with; its message is for the person. */
export class Surprise extends Error {}

function base64url(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function sha256(text) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** 256 random bits as text: a verifier (RFC 7636 section 4.1) or a state. */
export function randomText() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** The challenge of a verifier by S256 (RFC 7636 section 4.2). */
export async function challengeOf(verifier) {
  return base64url(await sha256(verifier));
}

/** What a token of this server is called, with its article. */
export function nameOf(token) {
  return KINDS[token.slice(0, 4)].name;
}

/** The parts of a token of this server, each a triple of name, text and meaning; empty for any other text. */
export function partsOf(token) {
  const known = KINDS[token.slice(0, 4)];
  if (known === undefined) return [];
  const parts = [
    ["kind", token.slice(0, 4), `says that this is ${nameOf(token)}, to people and to secret scanners`],
    ["grant id", token.slice(4, 4 + GRANT_ID_LENGTH), "which permission it belongs to; no secret, and no user id is in it"],
  ];
  let rest = token.slice(4 + GRANT_ID_LENGTH, -CHECKSUM_LENGTH);
  if (known.kind === "refresh") {
    const family = rest.slice(0, FAMILY_LENGTH);
    rest = rest.slice(FAMILY_LENGTH);
    parts.push(["family", family, "128 bits that all refresh tokens of this grant share: a stolen old one is known at any age"]);
  }
  parts.push(["secret", rest, "256 random bits: the only part that nobody can guess"]);
  parts.push(["checksum", token.slice(-CHECKSUM_LENGTH), "CRC-32 of the rest, so that a typing error is no question to the database"]);
  return parts;
}

/** What the server's database has in the place of a token, in hexadecimal: a hash over label, kind and token. */
export async function keptOf(token) {
  const digest = await sha256(`${LABEL}\0${KINDS[token.slice(0, 4)].kind}\0${token}`);
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Send a request and return what went out and what came back, as plain data.
 * `form` is sent as a form, `json` as JSON. Cookies are left at home: a client has none of the person's.
 */
export async function ask(method, url, { token, form, json } = {}) {
  const headers = {};
  let body;
  if (token !== undefined) headers.Authorization = `Bearer ${token}`;
  if (form !== undefined) {
    headers["Content-Type"] = "application/x-www-form-urlencoded";
    body = new URLSearchParams(form).toString();
  }
  if (json !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  }
  let answer;
  try {
    answer = await fetch(url, { method, headers, body, credentials: "omit", cache: "no-store", redirect: "error" });
  } catch {
    throw new Surprise("The server does not answer. Is it still running?");
  }
  const text = await answer.text();
  return {
    request: { method, url, headers, form, json },
    answer: { status: answer.status, reason: answer.statusText, headers: shownHeaders(answer.headers), ...parsed(text) },
  };
}

function shownHeaders(headers) {
  const shown = ["content-type", "cache-control", "www-authenticate", "retry-after"];
  return Object.fromEntries(shown.filter((name) => headers.has(name)).map((name) => [name, headers.get(name)]));
}

function parsed(text) {
  if (text === "") return {};
  try {
    return { json: JSON.parse(text) };
  } catch {
    return { text };
  }
}

/** The JSON of an answer that has one of these statuses. Throws Surprise for any other. */
export function expected(exchange, ...statuses) {
  const { status, json } = exchange.answer;
  if (statuses.includes(status)) return json ?? {};
  const words = json?.error_description ?? json?.error ?? "no reason given";
  throw new Surprise(`The server answered ${status} where ${statuses.join(" or ")} was expected: ${words}`);
}

/** A member of a challenge, as in `Bearer resource_metadata="…"` (RFC 6750 section 3, RFC 9728 section 5.1). */
export function challengeMember(exchange, name) {
  const challenge = exchange.answer.headers["www-authenticate"] ?? "";
  return new RegExp(`\\b${name}="([^"]*)"`).exec(challenge)?.[1] ?? null;
}
