// An OpenID Connect server on a free port of this machine, with the pages of its library, which let anybody in.
//
// It writes one line of JSON when it listens, `{"issuer": …}`, and ends with its standard input. REDIRECT is where
// its one client is, CLIENT_ID and CLIENT_SECRET what that client is called; ACCESS_TOKEN_TTL is in seconds. NAME is
// what this machine is called in its URLs.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const { REDIRECT, CLIENT_ID, CLIENT_SECRET, AUTH_METHOD, ACCESS_TOKEN_TTL, NAME } = process.env;

const people = {
  ada: { name: "Ada Lovelace", email: "ada@example.com", email_verified: true, groups: ["staff"] },
  eve: { name: "Eve", email: "eve@example.com", email_verified: false, groups: ["guests"] },
};

const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });

const configuration = {
  clients: [
    {
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      redirect_uris: [REDIRECT],
      grant_types: ["authorization_code", "refresh_token"],
      token_endpoint_auth_method: AUTH_METHOD,
    },
  ],
  claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"], groups: ["groups"] },
  cookies: { keys: ["a key of no importance"] },
  jwks: { keys: [{ ...key, kid: "one", use: "sig", alg: "RS256" }] },
  features: { devInteractions: { enabled: true }, revocation: { enabled: true } },
  // Each refresh token works once, and one that comes twice ends all of its grant.
  rotateRefreshToken: true,
  ttl: {
    AccessToken: Number(ACCESS_TOKEN_TTL),
    AuthorizationCode: 60,
    Grant: 86_400,
    IdToken: 300,
    Interaction: 600,
    RefreshToken: 86_400,
    Session: 3600,
  },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
};

let answer = (_, response) => response.writeHead(503).end();
const server = createServer((request, response) => answer(request, response));
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://${NAME}:${server.address().port}`;
  answer = new Provider(issuer, configuration).callback();
  console.log(JSON.stringify({ issuer }));
});

process.stdin.resume().on("end", () => process.exit());
