// The other end of a script: the test that started it, and the person whose browser the test drives.
// Each line is one JSON object; what comes back is the URL at which the browser arrived.

import { createInterface } from 'node:readline'

const lines = createInterface({ input: process.stdin })
const arrivals = lines[Symbol.asyncIterator]()

function write(object) {
  process.stdout.write(`${JSON.stringify(object)}\n`)
}

/** Let the person open a URL and decide "allow" or "deny"; returns the URL of the redirect URI with its answer. */
export async function open(url, redirectUri, decision = 'allow') {
  write({ open: String(url), redirect_uri: redirectUri, decision })
  const { value } = await arrivals.next()
  return new URL(value)
}

/** What was thrown, as far as it is the library's own word for what the server said. */
export async function refusal(promise) {
  let thrown
  try {
    await promise
  } catch (error) {
    thrown = error
  }
  if (thrown === undefined) throw new Error('this should have been refused')
  const { name, code, error, status } = thrown
  const said = { class: thrown.constructor.name, name, code, error, status }
  if (Array.isArray(thrown.cause)) said.challenges = thrown.cause
  if (error === undefined && said.challenges === undefined) throw thrown
  return said
}

/** Play the scenario that the command line names, and tell what it found. */
export async function play(scenarios) {
  const scenario = scenarios[process.argv[2]]
  if (scenario === undefined) throw new Error(`there is no scenario ${process.argv[2]}`)
  write({ facts: await scenario() })
  lines.close()
}
