// openid-client with all of its checks, https included: what a client does from discovery to the last token.

import * as openid from 'openid-client'
import { importKey, makeKeys } from './keys.mjs'
import { open, play, refusal } from './person.mjs'

const ISSUER = new URL(process.env.ISSUER)
const RESOURCE = new URL(process.env.RESOURCE)
const REDIRECT = process.env.REDIRECT
const METHOD = process.env.METHOD
const algorithm = process.env.ALGORITHM
const SCOPE = 'read write'
const resource = RESOURCE.href

/** By the method that is tried, with the secret or the private key; without one, with the secret that is registered. */
function authenticateWith(credential) {
  switch (METHOD) {
    case 'none':
      return openid.None()
    case 'client_secret_basic':
      return openid.ClientSecretBasic(credential)
    case 'client_secret_post':
      return openid.ClientSecretPost(credential)
    case 'private_key_jwt':
      return openid.PrivateKeyJwt(credential)
  }
}

/** A client that need not register: an operator has made it, or its id is the URL of its metadata. */
async function known(name) {
  const [clientId, secret, key] = ['ID', 'SECRET', 'KEY'].map((end) => process.env[`${name}_${end}`])
  const credential = key ? await importKey(JSON.parse(key), process.env.KEY_ALGORITHM) : secret
  return openid.discovery(ISSUER, clientId, undefined, authenticateWith(credential), { algorithm })
}

async function register() {
  if (process.env.CLIENT_ID) return known('CLIENT')
  const keys = METHOD === 'private_key_jwt' ? await makeKeys(process.env.KEY_ALGORITHM) : undefined
  const config = await openid.dynamicClientRegistration(
    ISSUER,
    {
      client_name: 'openid-client',
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: METHOD,
      ...(keys && { jwks: keys.jwks }),
    },
    authenticateWith(keys?.key),
    { algorithm },
  )
  const registered = config.clientMetadata().token_endpoint_auth_method
  if (registered !== METHOD) throw new Error(`registered as ${registered}`)
  return config
}

/** Begin: everything up to the browser's return. */
async function begin(decision) {
  const config = await register()
  const pkceCodeVerifier = openid.randomPKCECodeVerifier()
  const expectedState = openid.randomState()
  const url = openid.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT,
    scope: SCOPE,
    resource,
    state: expectedState,
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  const arrived = await open(url, REDIRECT, decision)
  return { config, checks: { pkceCodeVerifier, expectedState }, arrived }
}

function exchange({ config, checks, arrived }) {
  return openid.authorizationCodeGrant(config, arrived, checks, { resource })
}

async function call(config, token, url = RESOURCE) {
  return (await openid.fetchProtectedResource(config, token.access_token ?? token, url, 'GET')).json()
}

async function tokens() {
  const session = await begin()
  const { config } = session
  const first = await exchange(session)
  const called = await call(config, first)
  const second = await openid.refreshTokenGrant(config, first.refresh_token)
  const narrow = await openid.refreshTokenGrant(config, second.refresh_token, { scope: 'read', resource })
  const facts = {
    invalid: await refusal(call(config, 'gwa_invalid')),
    client_id: config.clientMetadata().client_id,
    iss: session.arrived.searchParams.get('iss'),
    first,
    called,
    rotated: new Set([first, second, narrow].map((answer) => answer.refresh_token)).size,
    called_again: await call(config, second),
    narrow: await call(config, narrow),
    without_scope: await refusal(call(config, narrow, new URL(`${RESOURCE}/write`))),
    elsewhere: await refusal(call(config, second, new URL(process.env.OTHER))),
  }
  await openid.tokenRevocation(config, second.access_token, { token_type_hint: 'access_token' })
  facts.revoked = await refusal(call(config, second))
  facts.still_good = await call(config, narrow)
  await openid.tokenRevocation(config, narrow.refresh_token, { token_type_hint: 'refresh_token' })
  facts.ended = await refusal(call(config, narrow))
  facts.no_refresh = await refusal(openid.refreshTokenGrant(config, narrow.refresh_token))
  return facts
}

const scenarios = {
  tokens,
  async denied() {
    return refusal(exchange(await begin('deny')))
  },
  async wrong_verifier() {
    const session = await begin()
    const checks = { ...session.checks, pkceCodeVerifier: openid.randomPKCECodeVerifier() }
    const refused = await refusal(exchange({ ...session, checks }))
    return { ...refused, afterwards: await call(session.config, await exchange(session)) }
  },
  async replayed_code() {
    const session = await begin()
    await exchange(session)
    return refusal(exchange(session))
  },
  async wrong_secret() {
    const session = await begin()
    const wrong = METHOD === 'private_key_jwt' ? (await makeKeys(process.env.KEY_ALGORITHM)).key : 'a wrong secret'
    const { client_id } = session.config.clientMetadata()
    const authentication = authenticateWith(wrong)
    const config = new openid.Configuration(session.config.serverMetadata(), client_id, undefined, authentication)
    const refused = await refusal(exchange({ ...session, config }))
    return { ...refused, afterwards: await call(session.config, await exchange(session)) }
  },
  async client_credentials() {
    const config = await known('CLIENT')
    const token = await openid.clientCredentialsGrant(config, { scope: 'read', resource })
    const called = await call(config, token)
    await openid.tokenRevocation(config, token.access_token)
    return { token, called, revoked: await refusal(call(config, token)) }
  },
  async introspection() {
    const session = await begin()
    const token = await exchange(session)
    const guard = await known('GUARD')
    const facts = {
      client_id: session.config.clientMetadata().client_id,
      live: await openid.tokenIntrospection(guard, token.access_token),
    }
    await openid.tokenRevocation(session.config, token.access_token)
    return { ...facts, revoked: await openid.tokenIntrospection(guard, token.access_token) }
  },
}

await play(scenarios)
