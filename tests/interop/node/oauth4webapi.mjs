// oauth4webapi with all of its checks, https included: what a client does from the first 401 to the last token.

import * as oauth from 'oauth4webapi'
import { importKey, makeKeys } from './keys.mjs'
import { open, play, refusal } from './person.mjs'

const RESOURCE = new URL(process.env.RESOURCE)
const REDIRECT = process.env.REDIRECT
const METHOD = process.env.METHOD
const algorithm = process.env.ALGORITHM
const SCOPE = 'read write'

// The library always sends a token; this takes it away again.
const anonymously = {
  [oauth.customFetch](url, { headers, ...options }) {
    const { authorization, ...others } = headers
    return fetch(url, { headers: others, ...options })
  },
}

/** Find the authorization server from the resource alone, as RFC 9728 and RFC 8414 have it. */
async function discover() {
  const request = oauth.protectedResourceRequest('none', 'GET', RESOURCE, undefined, undefined, anonymously)
  const anonymous = await refusal(request)
  const place = new URL(anonymous.challenges[0].parameters.resource_metadata)
  const response = await oauth.resourceDiscoveryRequest(RESOURCE)
  if (response.url !== place.href) throw new Error(`${place} is not where ${response.url} is`)
  const resource = await oauth.processResourceDiscoveryResponse(RESOURCE, response)
  const issuer = new URL(resource.authorization_servers[0])
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm }))
  return { anonymous, resource, as }
}

/** By the method that is tried, with the secret or the private key. */
function authenticateWith(credential) {
  switch (METHOD) {
    case 'none':
      return oauth.None()
    case 'client_secret_basic':
      return oauth.ClientSecretBasic(credential)
    case 'client_secret_post':
      return oauth.ClientSecretPost(credential)
    case 'private_key_jwt':
      return oauth.PrivateKeyJwt(credential)
  }
}

/** A client that need not register: an operator has made it, or its id is the URL of its metadata. */
async function known(name) {
  const [client_id, secret, key] = ['ID', 'SECRET', 'KEY'].map((end) => process.env[`${name}_${end}`])
  const credential = key ? await importKey(JSON.parse(key), process.env.KEY_ALGORITHM) : secret
  return { client: { client_id }, authentication: authenticateWith(credential) }
}

async function register(as) {
  if (process.env.CLIENT_ID) return known('CLIENT')
  const keys = METHOD === 'private_key_jwt' ? await makeKeys(process.env.KEY_ALGORITHM) : undefined
  const client = await oauth.processDynamicClientRegistrationResponse(
    await oauth.dynamicClientRegistrationRequest(as, {
      client_name: 'oauth4webapi',
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: METHOD,
      ...(keys && { jwks: keys.jwks }),
    }),
  )
  const registered = client.token_endpoint_auth_method
  if (registered !== METHOD) throw new Error(`registered as ${registered}`)
  return { client, authentication: authenticateWith(keys?.key ?? client.client_secret) }
}

/** Begin: everything up to the browser's return. */
async function begin(decision) {
  const { as, ...found } = await discover()
  const { client, authentication } = await register(as)
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: REDIRECT,
    scope: SCOPE,
    resource: RESOURCE.href,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  const arrived = await open(url, REDIRECT, decision)
  return { ...found, as, client, authentication, verifier, state, arrived }
}

async function exchange({ as, client, authentication, verifier, state, arrived }) {
  const answer = oauth.validateAuthResponse(as, client, arrived, state)
  const additionalParameters = { resource: RESOURCE.href }
  return oauth.processAuthorizationCodeResponse(
    as,
    client,
    await oauth.authorizationCodeGrantRequest(as, client, authentication, answer, REDIRECT, verifier, {
      additionalParameters,
    }),
  )
}

async function refresh({ as, client, authentication }, token, additionalParameters) {
  return oauth.processRefreshTokenResponse(
    as,
    client,
    await oauth.refreshTokenGrantRequest(as, client, authentication, token, { additionalParameters }),
  )
}

async function revoke({ as, client, authentication }, token, hint) {
  const additionalParameters = { token_type_hint: hint }
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(as, client, authentication, token, { additionalParameters }),
  )
}

async function introspect({ as, client, authentication }, { access_token }) {
  return oauth.processIntrospectionResponse(
    as,
    client,
    await oauth.introspectionRequest(as, client, authentication, access_token),
  )
}

async function call(token, url = RESOURCE) {
  return (await oauth.protectedResourceRequest(token.access_token ?? token, 'GET', url)).json()
}

async function tokens() {
  const session = await begin()
  const first = await exchange(session)
  const called = await call(first)
  const second = await refresh(session, first.refresh_token)
  const narrow = await refresh(session, second.refresh_token, { scope: 'read', resource: RESOURCE.href })
  const facts = {
    anonymous: session.anonymous,
    resource: session.resource,
    invalid: await refusal(call('gwa_invalid')),
    client_id: session.client.client_id,
    iss: session.arrived.searchParams.get('iss'),
    first,
    called,
    rotated: new Set([first, second, narrow].map((answer) => answer.refresh_token)).size,
    called_again: await call(second),
    narrow: await call(narrow),
    without_scope: await refusal(call(narrow, new URL(`${RESOURCE}/write`))),
    elsewhere: await refusal(call(second, new URL(process.env.OTHER))),
  }
  await revoke(session, second.access_token, 'access_token')
  facts.revoked = await refusal(call(second))
  facts.still_good = await call(narrow)
  await revoke(session, narrow.refresh_token, 'refresh_token')
  facts.ended = await refusal(call(narrow))
  facts.no_refresh = await refusal(refresh(session, narrow.refresh_token))
  return facts
}

const scenarios = {
  tokens,
  async denied() {
    const { as, client, arrived, state } = await begin('deny')
    return refusal((async () => oauth.validateAuthResponse(as, client, arrived, state))())
  },
  async wrong_verifier() {
    const session = await begin()
    const refused = await refusal(exchange({ ...session, verifier: oauth.generateRandomCodeVerifier() }))
    return { ...refused, afterwards: await call(await exchange(session)) }
  },
  async replayed_code() {
    const session = await begin()
    await exchange(session)
    return refusal(exchange(session))
  },
  async wrong_secret() {
    const session = await begin()
    const wrong = METHOD === 'private_key_jwt' ? (await makeKeys(process.env.KEY_ALGORITHM)).key : 'a wrong secret'
    const authentication = authenticateWith(wrong)
    const refused = await refusal(exchange({ ...session, authentication }))
    return { ...refused, afterwards: await call(await exchange(session)) }
  },
  async client_credentials() {
    const { as } = await discover()
    const session = { as, ...(await known('CLIENT')) }
    const { client, authentication } = session
    const parameters = { scope: 'read', resource: RESOURCE.href }
    const token = await oauth.processClientCredentialsResponse(
      as,
      client,
      await oauth.clientCredentialsGrantRequest(as, client, authentication, parameters),
    )
    const called = await call(token)
    await revoke(session, token.access_token, 'access_token')
    return { token, called, revoked: await refusal(call(token)) }
  },
  async introspection() {
    const session = await begin()
    const token = await exchange(session)
    const guard = { as: session.as, ...(await known('GUARD')) }
    const facts = { client_id: session.client.client_id, live: await introspect(guard, token) }
    await revoke(session, token.access_token, 'access_token')
    return { ...facts, revoked: await introspect(guard, token) }
  },
}

await play(scenarios)
