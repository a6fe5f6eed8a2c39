"""Signatures of others: which public keys are fit to verify them, and whether one of them did (RFC 7515, RFC 7517)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from ..config import ED25519_NAMES, SIGNATURE_ALGORITHMS

MAX_KEYS = 20
MAX_KEY_ID_LENGTH = 255
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192

# By the algorithm, not by the text of a signature: the library reads neither header nor payload.
_ALGORITHMS = {
    name: JWSRegistry.algorithms["EdDSA" if name in ED25519_NAMES else name] for name in SIGNATURE_ALGORITHMS
}
# Of RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1, RFC 8037 section 2, and of post-quantum keys ("priv").
_SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
# The points of Ed25519 of order 1, 2, 4 and 8, without the sign of x: under such a key anybody can sign.
_SMALL_ORDER = frozenset(
    bytes.fromhex(y)
    for y in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)


class UnacceptableKeys(ValueError):
    """A JWK Set that cannot be used. The message is one sentence, which repeats nothing of the set."""


class BadSignature(Exception):
    """A signature that was not proven. `reason` is for the log and repeats nothing of what was presented."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownKey(BadSignature):
    """None of the known keys made the signature, but one that was published since might have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _PublicKey:
    key_id: str | None
    algorithms: tuple[str, ...]
    key: RSAKey | ECKey | OKPKey


class KeySet:
    """The keys with which one client, or one issuer, can be heard; public, and each bound to its algorithms."""

    __slots__ = ("_keys",)

    def __init__(self, keys: tuple[_PublicKey, ...]) -> None:
        self._keys = keys

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> KeySet:
        """The usable keys of a JWK Set (RFC 7517 section 5), which is parsed JSON.

        A key that is not understood, lacks a member, is too weak or too large, is no point of its curve, or is meant
        for something else is ignored, as section 5 wants: an owner may publish it for others. A private or symmetric
        key is no such thing: its owner has lost it, so the whole set is refused. Raises UnacceptableKeys for that, for
        no or more than 20 keys, and if no key is usable.
        """
        keys = document.get("keys")
        if not isinstance(keys, list) or not all(isinstance(jwk, dict) for jwk in keys):
            raise UnacceptableKeys("A JWK Set must have a list of keys.")
        if not 1 <= len(keys) <= MAX_KEYS:
            raise UnacceptableKeys(f"A JWK Set must have 1 to {MAX_KEYS} keys.")
        if any(jwk.get("kty") == "oct" or not _SECRET_MEMBERS.isdisjoint(jwk) for jwk in keys):
            raise UnacceptableKeys("A JWK Set must not have a private or symmetric key.")
        usable = tuple(key for jwk in keys if (key := _read(jwk)) is not None)
        if not usable:
            raise UnacceptableKeys("A JWK Set must have a public key for one of the supported signature algorithms.")
        return cls(usable)

    def __repr__(self) -> str:
        return f"KeySet({len(self._keys)} keys)"

    def verify(self, text: str, *, algorithm: str, key_id: str | None, algorithms: Collection[str]) -> None:
        """Prove the signature of a JWS in compact serialization (RFC 7515 section 5.2); return if it holds.

        `algorithm` and `key_id` are what its header says; `algorithms` is what the caller accepts of
        SIGNATURE_ALGORITHMS. A key id chooses the keys that have it, and no other; without one, each key of the
        algorithm is tried. Keys that the header itself carries or points to are nothing to this method.

        Raises BadSignature; and UnknownKey, when to fetch the set again may help: no key has this id and algorithm, or
        there was no id and none of the keys fits.
        """
        if algorithm not in _ALGORITHMS or algorithm not in algorithms:
            raise BadSignature("the signature algorithm is not accepted")
        candidates = [k.key for k in self._keys if algorithm in k.algorithms and key_id in (None, k.key_id)]
        if not candidates:
            raise UnknownKey("no key has this id and algorithm")
        signed, _, encoded = text.rpartition(".")
        try:
            message, signature = signed.encode(), _octets(encoded)
        except ValueError:
            raise BadSignature("the signature is not base64url") from None
        if any(_ALGORITHMS[algorithm].verify(message, signature, key) for key in candidates):
            return
        if key_id is None:
            raise UnknownKey("the signature fits none of the keys")
        raise BadSignature("the signature does not fit the key")


def _read(jwk: Mapping[str, Any]) -> _PublicKey | None:
    key_id = jwk.get("kid")
    if "kid" in jwk and not (isinstance(key_id, str) and len(key_id) <= MAX_KEY_ID_LENGTH):
        return None
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not (isinstance(operations, list) and "verify" in operations):
        return None
    algorithms: tuple[str, ...]
    key: RSAKey | ECKey | OKPKey | None
    try:
        match jwk:
            case {"kty": "RSA", "n": str(n), "e": str(e)}:
                algorithms, key = ("RS256", "PS256"), _read_rsa(n, e)
            case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y)}:
                algorithms, key = ("ES256",), _read_p256(x, y)
            case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
                algorithms, key = ED25519_NAMES, _read_ed25519(x)
            case _:
                return None
    except ValueError:  # not base64url, not on the curve, or an even exponent
        return None
    if "alg" in jwk:
        named = ED25519_NAMES if jwk["alg"] in ED25519_NAMES else (jwk["alg"],)
        algorithms = tuple(algorithm for algorithm in algorithms if algorithm in named)
    if key is None or not algorithms:
        return None
    return _PublicKey(key_id=key_id, algorithms=algorithms, key=key)


def _read_rsa(n: str, e: str) -> RSAKey | None:
    modulus, exponent = (int.from_bytes(_octets(number)) for number in (n, e))
    # FIPS 186-5 section A.1.1 wants an exponent above 2^16; a very large one makes verifying slow.
    if not (MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS and 1 << 16 < exponent < 1 << 32):
        return None
    return RSAKey.import_key({"kty": "RSA", "n": n, "e": e})


def _read_p256(x: str, y: str) -> ECKey | None:
    # RFC 7518 section 6.2.1.2: the full size of a coordinate.
    if len(_octets(x)) != 32 or len(_octets(y)) != 32:
        return None
    return ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})


def _read_ed25519(x: str) -> OKPKey | None:
    point = _octets(x)
    if len(point) != 32 or point[:31] + bytes([point[31] & 0x7F]) in _SMALL_ORDER:
        return None
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})


def _octets(text: str) -> bytes:
    octets = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # In the one spelling of RFC 7515 section 2, whatever a library would let pass.
    if urlsafe_b64encode(octets).rstrip(b"=") != text.encode():
        raise ValueError("not base64url")
    return octets
