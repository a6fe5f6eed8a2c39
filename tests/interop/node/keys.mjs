// Key pairs for the authentication method private_key_jwt (RFC 7523), by the names of their algorithms.

const RSA = { hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }
// One id for all, so that another key than the registered one is recognised by its signature alone.
const kid = 'one'
const PARAMETERS = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  Ed25519: { name: 'Ed25519' },
  PS256: { name: 'RSA-PSS', ...RSA },
  RS256: { name: 'RSASSA-PKCS1-v1_5', ...RSA },
}

/** A private key with its id, and the JWK Set to register. */
export async function makeKeys(algorithm) {
  const pair = await crypto.subtle.generateKey(PARAMETERS[algorithm], true, ['sign', 'verify'])
  const { key_ops, ext, ...jwk } = await crypto.subtle.exportKey('jwk', pair.publicKey)
  return { key: { key: pair.privateKey, kid }, jwks: { keys: [{ ...jwk, kid, use: 'sig' }] } }
}

/** The private key of a JWK, whose public half an operator has registered. */
export async function importKey({ kid, alg, use, ...jwk }, algorithm) {
  return { key: await crypto.subtle.importKey('jwk', jwk, PARAMETERS[algorithm], false, ['sign']), kid }
}
