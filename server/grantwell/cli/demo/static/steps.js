// The steps of the playground. Each is run with the tab, which remembers, and returns one sentence about what was seen.

import { ask, challengeMember, challengeOf, expected, randomText, Surprise } from "./client.js";

const RETIRED_SECONDS = 11; // a retired token that comes back within ten seconds is taken for a late racer
const [READ, WRITE] = ["notes:read", "notes:write"];

const form = (tab, members) => ({ form: { ...members, client_id: tab.client.client_id } });
const has = (token, scope) => token.scope.split(" ").includes(scope);

async function discover(tab, send) {
  const refused = await send("GET", `${tab.issuer}/api/me`);
  expected(refused, 401);
  const place = challengeMember(refused, "resource_metadata");
  const resource = expected(await send("GET", place), 200);
  const [issuer] = resource.authorization_servers;
  const metadata = expected(await send("GET", `${issuer}/.well-known/oauth-authorization-server`), 200);
  if (metadata.issuer !== issuer || issuer !== tab.issuer) throw new Surprise("This metadata is not from the server that was asked.");
  tab.metadata = metadata;
  tab.resource = resource;
  return "The refusal itself said where to begin. From the address of the API alone, everything was found.";
}

async function register(tab, send) {
  const registration = await send("POST", tab.metadata.registration_endpoint, {
    json: {
      client_name: "Grantwell playground",
      redirect_uris: [`${tab.issuer}/callback`],
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
    },
  });
  tab.client = expected(registration, 201);
  return "The server knows this client now, and trusts it with nothing: the next step is up to a person.";
}

/** Leave for the authorization endpoint. `scope` is what is asked for; `purpose` is the step that waits for the answer. */
export async function leave(tab, scope, purpose) {
  const [verifier, state] = [randomText(), randomText()];
  const parameters = {
    response_type: "code",
    client_id: tab.client.client_id,
    redirect_uri: tab.client.redirect_uris[0],
    scope,
    resource: tab.resource.resource,
    state,
    code_challenge: await challengeOf(verifier),
    code_challenge_method: "S256",
  };
  const target = new URL(tab.metadata.authorization_endpoint);
  if (target.origin !== tab.issuer) throw new Surprise("The authorization endpoint is not on this server.");
  for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value);
  tab.flow = { state, verifier, purpose, target: target.href };
  return target.href;
}

/**
 * Take the answer that the browser came back with, a URLSearchParams, as an exchange with no answer of its own.
 * Throws Surprise unless it belongs to the question of this tab and is a code.
 */
export function arrive(tab, parameters) {
  const flow = tab.flow;
  if (flow === null || parameters.get("state") !== flow.state) {
    throw new Surprise("An answer came that this tab did not ask for (its state is another one). It was thrown away.");
  }
  if (parameters.get("iss") !== tab.metadata.issuer) {
    throw new Surprise("The answer is from another server (iss is not the issuer). It was thrown away.");
  }
  if (parameters.has("error")) {
    tab.flow = null;
    const words = parameters.get("error_description");
    throw new Surprise(`Nothing was allowed: ${parameters.get("error")}${words === null ? "" : `. ${words}`}`);
  }
  tab.code = parameters.get("code");
  return "The person was asked by the server, never by this page: no password was in reach of it. state and iss are right.";
}

async function redeem(tab, send) {
  const collected = await send("POST", tab.metadata.token_endpoint, form(tab, {
    grant_type: "authorization_code",
    code: tab.code,
    redirect_uri: tab.client.redirect_uris[0],
    code_verifier: tab.flow.verifier,
  }));
  tab.received(expected(collected, 200));
}

async function exchange(tab, send) {
  await redeem(tab, send);
  const again = await send("POST", tab.metadata.token_endpoint, form(tab, {
    grant_type: "authorization_code",
    code: tab.code,
    redirect_uri: tab.client.redirect_uris[0],
    code_verifier: tab.flow.verifier,
  }));
  expected(again, 400);
  tab.flow = tab.code = null;
  return "Code and verifier became two tokens. The same code once more is refused: it works once.";
}

async function call(tab, send) {
  const token = tab.newest("access");
  expected(await send("GET", `${tab.resource.resource}/me`, { token: token.value }), 200);
  if (!has(token, WRITE)) return "The API knows who is calling, and what was allowed: you left out writing notes.";
  const note = { token: token.value, json: { text: "Kept by the playground" } };
  expected(await send("POST", `${tab.resource.resource}/notes`, note), 201);
  return "The token works: the API knows who is calling, and keeps a note.";
}

async function narrow(tab, send) {
  if (has(tab.newest("access"), READ) && has(tab.newest("access"), WRITE)) {
    const less = { grant_type: "refresh_token", refresh_token: tab.newest("refresh").value, scope: READ };
    tab.received(expected(await send("POST", tab.metadata.token_endpoint, form(tab, less)), 200));
  }
  const token = tab.newest("access");
  const notes = `${tab.resource.resource}/notes`;
  const attempt = has(token, WRITE)
    ? await send("GET", notes, { token: token.value })
    : await send("POST", notes, { token: token.value, json: { text: "Refused" } });
  expected(attempt, 403);
  tab.missing = challengeMember(attempt, "scope");
  return `A token that can do less is had by asking for less. The API refuses the rest, and names what is missing: ${tab.missing}.`;
}

async function stepUp(tab, send) {
  await redeem(tab, send);
  tab.flow = tab.code = null;
  const token = tab.newest("access");
  if (!has(token, WRITE)) return "The person did not allow more. The client has to do with what it has.";
  const note = { token: token.value, json: { text: "Allowed by a step-up" } };
  expected(await send("POST", `${tab.resource.resource}/notes`, note), 201);
  return "The person was asked again, for what the 403 had named, and the same call works. The earlier grant was replaced.";
}

async function refresh(tab, send) {
  tab.replayed = tab.newest("refresh").value;
  const renewal = form(tab, { grant_type: "refresh_token", refresh_token: tab.replayed });
  tab.received(expected(await send("POST", tab.metadata.token_endpoint, renewal), 200));
  return "A new access token with all that was allowed, and a new refresh token in the place of the old one. Nobody was asked.";
}

async function replay(tab, send) {
  const before = tab.newest("refresh").value;
  const renewal = form(tab, { grant_type: "refresh_token", refresh_token: tab.replayed });
  tab.received(expected(await send("POST", tab.metadata.token_endpoint, renewal), 200));
  if (tab.newest("refresh").value === before) {
    return "The same answer, token for token. A lost answer, a second tab or eight processes all end up with one successor.";
  }
  return "More than a minute had gone by and the successor was never used: so it was replaced by another one.";
}

async function revoke(tab, send) {
  const token = tab.newest("access");
  expected(await send("POST", tab.metadata.revocation_endpoint, form(tab, { token: token.value })), 200);
  token.state = "revoked";
  expected(await send("GET", `${tab.resource.resource}/me`, { token: token.value }), 401);
  return "The very next call was refused: every call asks the database, in every process. The refresh token would end all.";
}

async function steal(tab, send) {
  const owner = form(tab, { grant_type: "refresh_token", refresh_token: tab.newest("refresh").value });
  tab.received(expected(await send("POST", tab.metadata.token_endpoint, owner), 200));
  await tab.wait(RETIRED_SECONDS, "The old refresh token is retired now. For ten seconds the server would take it for a late racer");
  const thief = form(tab, { grant_type: "refresh_token", refresh_token: tab.replayed });
  expected(await send("POST", tab.metadata.token_endpoint, thief), 400);
  tab.ended();
  expected(await send("GET", `${tab.resource.resource}/me`, { token: tab.newest("access").value }), 401);
  const last = form(tab, { grant_type: "refresh_token", refresh_token: tab.newest("refresh").value });
  expected(await send("POST", tab.metadata.token_endpoint, last), 400);
  return "Somebody has used a token that was given back long ago: one of two holders is a thief, so the grant is dead for both.";
}

/** End the grant, if there is one: what a client does when somebody disconnects it. Failures are no concern of it. */
export async function disconnect(tab) {
  const token = tab.newest("refresh");
  if (token === null || token.state !== "live") return;
  try {
    await ask("POST", tab.metadata.revocation_endpoint, form(tab, { token: token.value }));
  } catch (error) {
    if (!(error instanceof Surprise)) throw error;
  }
}

export const STEPS = [
  { id: "discover", title: "Find the server", button: "Call the API without a token", run: discover,
    why: "A client knows the address of an API and nothing else. It calls, is refused, and reads on." },
  { id: "register", title: "Register", button: "Register this client", run: register,
    why: "Nobody has typed this client into a form. It introduces itself (RFC 7591), as MCP clients do." },
  { id: "authorize", title: "Ask the person", button: "Sign in and allow",
    why: "The browser leaves for the server's own pages, and comes back here with a code. Sign in as demo; the password is in the terminal." },
  { id: "exchange", title: "Exchange the code", button: "Exchange the code", run: exchange,
    why: "The code went through the browser, where others may see it. It becomes tokens only with the verifier." },
  { id: "call", title: "Call the API", button: "Call with the token", run: call,
    why: "The access token goes into a header, and the API behind the server learns who is calling." },
  { id: "narrow", title: "Do less, and be refused", button: "Try what is not allowed", run: narrow, more: stepUp,
    why: "A part of a program that only reads should hold a token that can only read. What it lacks, it can ask for." },
  { id: "refresh", title: "Refresh", button: "Get new tokens", run: refresh,
    why: "Access tokens are short-lived. The refresh token gets the next one, and is replaced with it." },
  { id: "replay", title: "Lose an answer", button: "Send the old refresh token again", run: replay,
    why: "The network drops an answer; the client has only its old token. Within a minute that is no theft." },
  { id: "revoke", title: "Revoke", button: "Revoke the access token", run: revoke,
    why: "A client that is done gives its token back (RFC 7009). Then it is tried once more." },
  { id: "steal", title: "Steal a token", button: "Use a retired refresh token", run: steal,
    why: "A thief has copied the old refresh token. Both have used it by now, and the server cannot tell who is who." },
];

export const SCOPES = (tab) => (tab.resource.scopes_supported ?? [READ, WRITE]).join(" ");
