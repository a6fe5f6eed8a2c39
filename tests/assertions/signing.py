"""Keys and the assertions that are signed with them, as clients and identity providers make them."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from tests.wire.world import ISSUER

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

Key = ECKey | OKPKey | RSAKey


def new_key(algorithm: str = "ES256", key_id: str | None = "k1") -> Key:
    """A private key for an algorithm."""
    parameters: Any = {"use": "sig", "alg": algorithm} | ({} if key_id is None else {"kid": key_id})
    match algorithm:
        case "ES256":
            return ECKey.generate_key("P-256", parameters, private=True)
        case "EdDSA":
            return OKPKey.generate_key("Ed25519", parameters, private=True)
        case _:
            return RSAKey.generate_key(2048, parameters, private=True)


def jwks(*keys: Key) -> dict[str, Any]:
    """The public halves, as a JWK Set."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def signed(key: Key, claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    """A signed JWT with these claims, whatever stands in its header."""
    members: dict[str, Any] = {"alg": key.get("alg"), "kid": key.get("kid")} | (header or {})
    parts = ({name: value for name, value in members.items() if value is not None}, claims)
    text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    signature = JWSRegistry.algorithms[str(key.get("alg"))].sign(text.encode(), key)
    return f"{text}.{base64url(signature)}"


def base64url(data: bytes) -> str:
    """Without padding, as in a JWS."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def client_assertion(
    key: Key, client_id: str, now: float, *, header: dict[str, Any] | None = None, **changes: Any
) -> str:
    """What authenticates a client, changed as written (None removes a claim)."""
    claims: dict[str, Any] = {
        "iss": client_id,
        "sub": client_id,
        "aud": ISSUER,
        "iat": int(now),
        "exp": int(now) + 60,
        "jti": secrets.token_hex(16),
    } | changes
    return signed(key, {name: value for name, value in claims.items() if value is not None}, header)


def authenticated(assertion: str, **form: Any) -> dict[str, Any]:
    """A form that an assertion authenticates."""
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion} | form
