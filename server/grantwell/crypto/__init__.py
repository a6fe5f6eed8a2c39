"""The only door to cryptography: recipes named by purpose, each with a label of its own; no two share a derivation.

What a token opens is derived from the token; what an attacker with write access to the database must not be able to
make is derived from the deployment key as well. Randomness comes from `secrets`, and is an argument of the inner
functions, so that known-answer vectors can be tested.
"""

from .derivations import MacField, TokenKind, canonical, claim_digest, digest_of, equal, family_digest, hkdf_sha256
from .keyring import Keyring, PropsOwner, Unsealable
from .passwords import MAX_PASSWORD_BYTES, PasswordHasher
from .props import MAX_PROPS_BYTES, encode_props
from .secret_key import KEY_BYTES, SecretKey
from .signatures import BadSignature, KeySet, UnacceptableKeys, UnknownKey

__all__ = [
    "KEY_BYTES",
    "MAX_PASSWORD_BYTES",
    "MAX_PROPS_BYTES",
    "BadSignature",
    "KeySet",
    "Keyring",
    "MacField",
    "PasswordHasher",
    "PropsOwner",
    "SecretKey",
    "TokenKind",
    "UnacceptableKeys",
    "UnknownKey",
    "Unsealable",
    "canonical",
    "claim_digest",
    "digest_of",
    "encode_props",
    "equal",
    "family_digest",
    "hkdf_sha256",
]
