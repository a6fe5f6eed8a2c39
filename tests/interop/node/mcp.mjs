// The MCP TypeScript SDK, in its first and in its second generation, with its own OAuth: from the 401 to the tools.

import { randomUUID } from 'node:crypto'
import { open, play } from './person.mjs'

const SERVER = new URL(process.env.SERVER)
const REDIRECT = process.env.REDIRECT
const METHOD = process.env.METHOD
const sdk = await load(process.env.SDK)
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = sdk
const IS_SECOND = process.env.SDK === '@modelcontextprotocol/client'

async function load(name) {
  if (name === '@modelcontextprotocol/client') return import(name)
  const files = ['index.js', 'streamableHttp.js', 'auth.js', 'auth-extensions.js']
  return Object.assign({}, ...(await Promise.all(files.map((file) => import(`${name}/client/${file}`)))))
}

/** Keeps what the SDK wants kept, and sends the person where the SDK says. */
class Memory {
  redirectUrl = REDIRECT
  clientMetadataUrl = process.env.CLIENT_METADATA_URL
  clientMetadata = {
    client_name: 'MCP TypeScript SDK',
    redirect_uris: [REDIRECT],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    ...(METHOD && { token_endpoint_auth_method: METHOD }),
  }
  opened = []

  constructor(kept = {}) {
    this.kept = kept
  }

  state = () => (this.kept.state = randomUUID())
  clientInformation = () => this.kept.client
  saveClientInformation = (client) => void (this.kept.client = client)
  tokens = () => this.kept.tokens
  saveTokens = (tokens) => void (this.kept.tokens = tokens)
  codeVerifier = () => this.kept.verifier
  saveCodeVerifier = (verifier) => void (this.kept.verifier = verifier)
  discoveryState = () => this.kept.discovery
  saveDiscoveryState = (discovery) => void (this.kept.discovery = discovery)

  invalidateCredentials(what) {
    const names = { verifier: ['verifier'], discovery: ['discovery'], tokens: ['tokens'], client: ['client'] }
    for (const name of names[what] ?? Object.keys(this.kept)) delete this.kept[name]
  }

  async redirectToAuthorization(url) {
    this.opened.push(Object.fromEntries(url.searchParams))
    this.arrived = await open(url, REDIRECT)
    if (this.arrived.searchParams.get('state') !== this.kept.state) throw new Error('another state came back')
  }
}

/** For a client that acts for itself: with its secret, or with its private key. */
function credentials() {
  const { CLIENT_ID: clientId, CLIENT_SECRET: clientSecret, CLIENT_KEY, KEY_ALGORITHM: algorithm } = process.env
  const known = { clientId, expectedIssuer: process.env.ISSUER }
  return CLIENT_KEY
    ? new sdk.PrivateKeyJwtProvider({ ...known, privateKey: JSON.parse(CLIENT_KEY), algorithm })
    : new sdk.ClientCredentialsProvider({ ...known, clientSecret })
}

function pair(authProvider) {
  const mode = process.env.MODE
  const versionNegotiation = mode && { mode: ['legacy', 'auto'].includes(mode) ? mode : { pin: mode } }
  return [
    new Client({ name: 'test', version: '1' }, { versionNegotiation }),
    new StreamableHTTPClientTransport(SERVER, { authProvider }),
  ]
}

/** Give the SDK what the person came back with, if that is what it waits for. */
async function finish(error, memory, transport) {
  if (!(error instanceof UnauthorizedError)) throw error
  const answer = memory.arrived.searchParams
  await (IS_SECOND ? transport.finishAuth(answer) : transport.finishAuth(answer.get('code')))
}

/** A session, whether or not there is a token yet. */
async function connect(memory) {
  const [client, transport] = pair(memory)
  try {
    await client.connect(transport)
    return client
  } catch (error) {
    await finish(error, memory, transport)
  }
  const [again, another] = pair(memory)
  await again.connect(another)
  return again
}

/** An access token of the same grant with less scope, as a client may ask for one. */
async function narrowed({ kept: { client, tokens } }, scope) {
  const form = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token, client_id: client.client_id, scope }
  const answer = await fetch(`${client.issuer}/token`, { method: 'POST', body: new URLSearchParams(form) })
  if (!answer.ok) throw new Error(await answer.text())
  return { ...tokens, ...(await answer.json()) }
}

async function whoami(client) {
  const answer = await client.callTool({ name: 'whoami', arguments: {} })
  return answer.structuredContent
}

const scenarios = {
  async tools() {
    const memory = new Memory()
    const client = await connect(memory)
    const facts = {
      tools: (await client.listTools()).tools.map((tool) => tool.name),
      who: await whoami(client),
      note: await client.callTool({ name: 'add_note', arguments: { text: 'by the TypeScript SDK' } }),
    }
    const before = { ...memory.kept.tokens }
    // As if the access token had ended: the SDK is to get another one without the person.
    memory.kept.tokens = { ...before, access_token: 'gwa_ended' }
    facts.who_again = await whoami(client)
    facts.rotated = memory.kept.tokens.refresh_token !== before.refresh_token
    await client.close()
    return { ...facts, opened: memory.opened, arrived: String(memory.arrived), kept: memory.kept }
  },
  async resume() {
    const memory = new Memory(JSON.parse(process.env.KEPT))
    const client = await connect(memory)
    const who = await whoami(client)
    await client.close()
    return { who, opened: memory.opened, kept: memory.kept }
  },
  async step_up() {
    const memory = new Memory()
    const client = await connect(memory)
    memory.kept.tokens = await narrowed(memory, 'notes:write')
    const who = await whoami(client).catch(async (error) => {
      await finish(error, memory, client.transport)
      return whoami(client)
    })
    await client.close()
    return { who, opened: memory.opened }
  },
  async machine() {
    const [client, transport] = pair(credentials())
    await client.connect(transport)
    const who = await whoami(client)
    await client.close()
    return { who }
  },
}

await play(scenarios)
