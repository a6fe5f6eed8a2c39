// What this tab remembers: in sessionStorage, so that it outlives the way to the consent page, and ends with the tab.

const PLACE = "grantwell-playground";
const EMPTY = {
  metadata: null,
  resource: null,
  client: null,
  flow: null,
  code: null,
  missing: null,
  replayed: null,
  tokens: [],
  outcomes: {},
  runsAll: false,
};

export class Tab {
  constructor(issuer, wait) {
    this.issuer = issuer;
    this.wait = wait;
    const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
    Object.assign(this, structuredClone(EMPTY), kept?.issuer === issuer ? kept : {});
  }

  /** Write everything down. */
  keep() {
    const members = Object.keys(EMPTY).map((name) => [name, this[name]]);
    sessionStorage.setItem(PLACE, JSON.stringify({ issuer: this.issuer, ...Object.fromEntries(members) }));
  }

  /** Forget everything. */
  forget() {
    Object.assign(this, structuredClone(EMPTY));
    sessionStorage.removeItem(PLACE);
  }

  /** The latest token of a kind ("access", "refresh") with its value, scope and state; null if there is none. */
  newest(kind) {
    return this.tokens.findLast((token) => token.kind === kind) ?? null;
  }

  /** Note the tokens of an answer. The same answer again adds nothing. */
  received({ access_token: access, refresh_token: refresh, scope }) {
    if (!this.tokens.some((token) => token.value === access)) this.#add("access", access, scope);
    if (refresh === undefined || this.tokens.some((token) => token.value === refresh)) return;
    for (const token of this.tokens.filter((token) => token.kind === "refresh")) {
      token.state = token.state === "live" ? "replaced" : token.state === "replaced" ? "retired" : token.state;
    }
    this.#add("refresh", refresh, scope);
  }

  /** Note that the grant is over, and every token of it. */
  ended() {
    for (const token of this.tokens) token.state = "dead";
  }

  #add(kind, value, scope) {
    const number = this.tokens.filter((token) => token.kind === kind).length + 1;
    this.tokens.push({ kind, value, scope, number, state: "live" });
  }
}
