"""Which public keys are believed, for which algorithm, and which signatures (S-225, S-295, A-100)."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from hypothesis import given
from hypothesis import strategies as st

from grantwell.config import SIGNATURE_ALGORITHMS
from grantwell.crypto import BadSignature, KeySet, UnacceptableKeys, UnknownKey
from tests.protocol.attempts import attempt

requirement = pytest.mark.requirement

Signer = Callable[[bytes], bytes]


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(text: str) -> int:
    return int.from_bytes(unb64(text))


def b64_of(value: int, size: int | None = None) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8))


# The keys of RFC 7515 appendices A.2 and A.3, and of RFC 8037 appendix A.
RSA: dict[str, Any] = {
    "kty": "RSA",
    "n": (
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-"
        "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2Ca"
        "pHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb5"
        "4h4FRWyuXpoQ"
    ),
    "e": "AQAB",
}
RSA_D = (
    "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn"
    "2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juU"
    "O1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ"
)
EC: dict[str, Any] = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
EC_D = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
ED: dict[str, Any] = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
ED_D = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"

# Keys that others have a use for: one agrees on secrets, one is of lattices; P384 below is on another curve.
X25519: dict[str, Any] = {"kty": "OKP", "crv": "X25519", "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}
AKP: dict[str, Any] = {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA"}


def rsa_private(n: int, d: int, e: int = 65537) -> rsa.RSAPrivateKey:
    p, q = rsa.rsa_recover_prime_factors(n, e, d)
    factors = (rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
    return rsa.RSAPrivateNumbers(p, q, d, *factors, rsa.RSAPublicNumbers(e, n)).private_key()


RSA_KEY = rsa_private(number(RSA["n"]), number(RSA_D))
EC_KEY = ec.derive_private_key(number(EC_D), ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(unb64(ED_D))
PSS = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)


def es256(key: ec.EllipticCurvePrivateKey) -> Signer:
    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    return sign


def keyed_with(secret: bytes) -> Signer:
    return lambda message: hmac.digest(secret, message, "sha256")


SIGNERS: dict[str, Signer] = {
    "RS256": lambda message: RSA_KEY.sign(message, padding.PKCS1v15(), SHA256()),
    "PS256": lambda message: RSA_KEY.sign(message, PSS, SHA256()),
    "ES256": es256(EC_KEY),
    "EdDSA": ED_KEY.sign,
    "Ed25519": ED_KEY.sign,
}
JWKS: dict[str, dict[str, Any]] = {"RS256": RSA, "PS256": RSA, "ES256": EC, "EdDSA": ED, "Ed25519": ED}
ALL = list(SIGNATURE_ALGORITHMS)


def jws(algorithm: str, sign: Signer | None = None, **header: Any) -> str:
    """A JWS whose header says `algorithm`, signed by our key for it unless told otherwise."""
    signed = b64(json.dumps({"alg": algorithm, **header}).encode()) + "." + b64(b'{"iss":"C1"}')
    return signed + "." + b64((sign or SIGNERS[algorithm])(signed.encode()))


def coordinates(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    size = key.key_size // 8
    return {"x": b64_of(numbers.x, size), "y": b64_of(numbers.y, size)}


P384: dict[str, Any] = {"kty": "EC", "crv": "P-384", **coordinates(ec.derive_private_key(1, ec.SECP384R1()))}


def keys(*jwks: dict[str, Any]) -> KeySet:
    return KeySet.parse({"keys": list(jwks)})


def verify(key_set: KeySet, text: str, algorithm: str, key_id: str | None = None) -> None:
    key_set.verify(text, algorithm=algorithm, key_id=key_id, algorithms=SIGNATURE_ALGORITHMS)


def refusal(key_set: KeySet, text: str, algorithm: str, key_id: str | None = None) -> type[BadSignature]:
    with pytest.raises(BadSignature) as caught:
        verify(key_set, text, algorithm, key_id)
    assert caught.value.reason == str(caught.value)
    assert text not in caught.value.reason
    return type(caught.value)


def is_fit(jwk: dict[str, Any]) -> bool:
    """Whether the key survives in a set that has another one."""
    shown = (repr(KeySet.parse({"keys": [ED, jwk]})), repr(KeySet.parse({"keys": [jwk, ED]})))
    assert shown in [("KeySet(1 keys)",) * 2, ("KeySet(2 keys)",) * 2]
    return shown[0] == "KeySet(2 keys)"


# Published answers ------------------------------------------------------------------------------------------------

JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
VECTORS = {
    "RFC 7515 A.2": (
        "RS256",
        f"eyJhbGciOiJSUzI1NiJ9.{JOE}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2F"
        "p5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383Lc"
        "OLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_Ioy"
        "pGlUPQGe77Rw",
    ),
    "RFC 7515 A.3": (
        "ES256",
        f"eyJhbGciOiJFUzI1NiJ9.{JOE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
    "RFC 8037 A.4": (
        "EdDSA",
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg"
        "5BhVsPt9g7sVvpAr_MuM0KAg",
    ),
}


@requirement("S-225")
@pytest.mark.parametrize("name", VECTORS)
def test_the_published_signatures_hold(name: str) -> None:
    algorithm, text = VECTORS[name]
    verify(keys(JWKS[algorithm]), text, algorithm)
    if algorithm != "ES256":  # whose signatures are never twice the same
        signed, _, signature = text.rpartition(".")
        assert b64(SIGNERS[algorithm](signed.encode())) == signature


# What is announced ------------------------------------------------------------------------------------------------


@requirement("S-219", "S-225")
@pytest.mark.parametrize("algorithm", ALL)
def test_every_announced_algorithm_is_verified(algorithm: str) -> None:
    verify(keys(JWKS[algorithm]), jws(algorithm), algorithm)
    verify(keys(RSA, EC, ED, X25519, P384, AKP), jws(algorithm), algorithm)


@requirement("S-225", "S-295")
@pytest.mark.parametrize("algorithm", ALL)
def test_a_signature_holds_for_its_own_text_and_its_own_key_alone(algorithm: str) -> None:
    text = jws(algorithm)
    header, claims, signature = text.split(".")
    raw = unb64(signature)
    altered = [
        ".".join((header, b64(b'{"iss":"C2"}'), signature)),
        ".".join((b64(b'{"alg":"none"}'), claims, signature)),
        f"{header}.{claims}.",
        f"{header}.{claims}",
        f"{header}{claims}.{signature}",
        *(f"{header}.{claims}.{b64(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])}" for at in (0, 31, 32)),
        f"{header}.{claims}.{b64(raw[:-1])}",
        f"{header}.{claims}.{b64(raw + bytes(1))}",
        f"{header}.{claims}.{b64(bytes(len(raw)))}",
        ".".join((header, claims, b64(b"\xff" * len(raw)))),
    ]
    for other in altered:
        assert issubclass(refusal(keys(JWKS[algorithm]), other, algorithm), BadSignature)


@requirement("S-225")
@pytest.mark.parametrize("algorithm", ALL)
def test_the_key_of_somebody_else_proves_nothing(algorithm: str) -> None:
    others: dict[str, dict[str, Any]] = {
        "RSA": RSA | {"n": b64_of(rsa.generate_private_key(65537, 2048).public_key().public_numbers().n)},
        "EC": EC | coordinates(ec.generate_private_key(ec.SECP256R1())),
        "OKP": ED | {"x": b64(ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw())},
    }
    other = others[JWKS[algorithm]["kty"]]
    assert refusal(keys(other | {"kid": "a"}), jws(algorithm), algorithm, "a") is BadSignature


@requirement("S-225")
@pytest.mark.parametrize("spelling", ["+", "=", " ", ".", "\n", "é", "\ud800", "/"])
def test_a_signature_has_one_spelling(spelling: str) -> None:
    text = jws("EdDSA")
    for at in (0, 40, 86):
        cut = len(text) - 86 + at
        assert refusal(keys(ED), text[:cut] + spelling + text[cut:], "EdDSA")
    # The last of 86 characters carries two bits: of its sixteen spellings fifteen are wrong.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(text[-1])
    assert last % 16 == 0
    for other in range(last + 1, last + 16):
        assert refusal(keys(ED), text[:-1] + alphabet[other], "EdDSA")


# Algorithms and keys ----------------------------------------------------------------------------------------------


@requirement("S-225", "S-295", "A-087")
@pytest.mark.parametrize(
    "algorithm",
    ["none", "None", "nOnE", "", "HS256", "HS384", "HS512", "RS384", "RS512", "PS384", "PS512", "ES384", "ES512"],
)
def test_no_other_algorithm_is_known(algorithm: str) -> None:
    secrets = [json.dumps(RSA).encode(), RSA["n"].encode(), unb64(RSA["n"]), b"", EC["x"].encode()]
    texts = [jws(algorithm, keyed_with(secret)) for secret in secrets]
    texts += [jws(algorithm, lambda message: b""), *(jws(algorithm, sign) for sign in SIGNERS.values())]
    for text in texts:
        for accepted in (SIGNATURE_ALGORITHMS, [algorithm], [*ALL, algorithm]):
            with pytest.raises(BadSignature, match="not accepted") as caught:
                keys(RSA, EC, ED).verify(text, algorithm=algorithm, key_id=None, algorithms=accepted)
            assert type(caught.value) is BadSignature


@requirement("S-225", "S-295")
@pytest.mark.parametrize("algorithm", ALL)
def test_the_caller_may_accept_fewer_algorithms(algorithm: str) -> None:
    others = [name for name in ALL if name != algorithm]
    with pytest.raises(BadSignature, match="not accepted") as caught:
        keys(JWKS[algorithm]).verify(jws(algorithm), algorithm=algorithm, key_id=None, algorithms=others)
    assert type(caught.value) is BadSignature
    keys(JWKS[algorithm]).verify(jws(algorithm), algorithm=algorithm, key_id=None, algorithms=[algorithm])
    with pytest.raises(BadSignature):
        keys(JWKS[algorithm]).verify(jws(algorithm), algorithm=algorithm, key_id=None, algorithms=())


@requirement("S-225")
@pytest.mark.parametrize("key", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("claimed", ALL)
def test_a_key_verifies_the_algorithms_of_its_kind_alone(key: str, claimed: str) -> None:
    if JWKS[key] is JWKS[claimed]:
        verify(keys(JWKS[key]), jws(claimed), claimed)
    else:
        assert refusal(keys(JWKS[key]), jws(claimed, SIGNERS[key]), claimed) is UnknownKey


@requirement("S-225")
@pytest.mark.parametrize("named", ["EdDSA", "Ed25519"])
@pytest.mark.parametrize("claimed", ["EdDSA", "Ed25519"])
def test_the_two_names_of_ed25519_are_one(named: str, claimed: str) -> None:
    verify(keys(ED | {"alg": named}), jws(claimed), claimed)


@requirement("S-225")
@pytest.mark.parametrize(("named", "other"), [("RS256", "PS256"), ("PS256", "RS256")])
def test_a_key_that_names_its_algorithm_verifies_no_other(named: str, other: str) -> None:
    key_set = keys(RSA | {"alg": named})
    verify(key_set, jws(named), named)
    assert refusal(key_set, jws(other), other) is UnknownKey


@requirement("S-225")
@pytest.mark.parametrize(("header", "made_with"), [("PS256", "RS256"), ("RS256", "PS256")])
def test_one_padding_is_not_taken_for_the_other(header: str, made_with: str) -> None:
    assert refusal(keys(RSA | {"kid": "a"}), jws(header, SIGNERS[made_with]), header, "a") is BadSignature


@requirement("S-225")
@pytest.mark.parametrize("salt", [0, 20, 31, 33, padding.PSS.MAX_LENGTH])
def test_the_salt_of_ps256_is_as_long_as_the_hash(salt: int) -> None:
    scheme = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=salt)
    assert refusal(keys(RSA), jws("PS256", lambda message: RSA_KEY.sign(message, scheme, SHA256())), "PS256")


@requirement("S-225")
def test_another_hash_is_not_taken_for_sha_256() -> None:
    assert refusal(keys(RSA), jws("RS256", lambda m: RSA_KEY.sign(m, padding.PKCS1v15(), SHA384())), "RS256")
    other = ec.ECDSA(SHA384())

    def es384(message: bytes) -> bytes:
        r, s = decode_dss_signature(EC_KEY.sign(message, other))
        return r.to_bytes(32) + s.to_bytes(32)

    assert refusal(keys(EC), jws("ES256", es384), "ES256")


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ES256_SIGNATURES: dict[str, Signer] = {
    "r and s are 0": lambda message: bytes(64),
    "r is 0": lambda message: bytes(32) + es256(EC_KEY)(message)[32:],
    "s is 0": lambda message: es256(EC_KEY)(message)[:32] + bytes(32),
    "r is 1 and s is the order": lambda message: (1).to_bytes(32) + ORDER.to_bytes(32),
    "r is the order": lambda message: ORDER.to_bytes(32) + es256(EC_KEY)(message)[32:],
    "DER": lambda message: EC_KEY.sign(message, ec.ECDSA(SHA256())),
    "too short": lambda message: es256(EC_KEY)(message)[1:],
    "of another size": lambda message: b"\0" + es256(EC_KEY)(message)[:32] + b"\0" + es256(EC_KEY)(message)[32:],
    "s before r": lambda message: es256(EC_KEY)(message)[32:] + es256(EC_KEY)(message)[:32],
}


@requirement("S-225")
@pytest.mark.parametrize("name", ES256_SIGNATURES)
def test_an_es256_signature_is_r_and_s_of_32_bytes_each(name: str) -> None:
    assert refusal(keys(EC), jws("ES256", ES256_SIGNATURES[name]), "ES256")


@requirement("S-225")
def test_keys_that_the_header_carries_or_points_to_are_nothing() -> None:
    mallory = ec.generate_private_key(ec.SECP256R1())
    embedded = EC | coordinates(mallory)
    headers: list[dict[str, Any]] = [
        {"jwk": embedded},
        {"jku": "https://evil.test/jwks"},
        {"x5u": "https://evil.test/x5u", "x5c": ["MIIB"]},
    ]
    key_set = keys(EC | {"kid": "a"})
    for header in headers:
        for key_id in ("a", None):
            assert refusal(key_set, jws("ES256", es256(mallory), **header), "ES256", key_id)
            # They are ignored, not refused: an honest client may send its certificates along (RFC 7515 section 4.1.6).
            verify(key_set, jws("ES256", **header), "ES256", key_id)


# Which key --------------------------------------------------------------------------------------------------------


@requirement("S-225", "S-295")
def test_a_key_id_chooses_its_key_and_no_other() -> None:
    second = ec.generate_private_key(ec.SECP256R1())
    key_set = keys(EC | {"kid": "a"}, EC | coordinates(second) | {"kid": "b"}, ED)
    verify(key_set, jws("ES256"), "ES256", "a")
    verify(key_set, jws("ES256", es256(second)), "ES256", "b")
    assert refusal(key_set, jws("ES256"), "ES256", "b") is BadSignature
    for unknown in ("c", "A", "", "a "):
        assert refusal(key_set, jws("ES256"), "ES256", unknown) is UnknownKey
    # Not even the only key of the algorithm, if it has no id.
    assert refusal(key_set, jws("EdDSA"), "EdDSA", "a") is UnknownKey
    assert refusal(keys(ED), jws("EdDSA"), "EdDSA", "a") is UnknownKey


@requirement("S-225", "S-229")
def test_without_a_key_id_every_key_of_the_algorithm_is_tried() -> None:
    others = [ec.generate_private_key(ec.SECP256R1()) for _ in range(18)]
    key_set = keys(ED, *(EC | coordinates(key) | {"kid": str(at)} for at, key in enumerate(others)), EC | {"kid": "a"})
    verify(key_set, jws("ES256"), "ES256")
    verify(key_set, jws("ES256", es256(others[0])), "ES256")
    assert refusal(key_set, jws("ES256", es256(ec.generate_private_key(ec.SECP256R1()))), "ES256") is UnknownKey


@requirement("S-225")
def test_two_keys_may_share_an_id() -> None:
    second = ec.generate_private_key(ec.SECP256R1())
    key_set = keys(*(key | {"kid": "a"} for key in (RSA, EC | coordinates(second), EC, ED)))
    for algorithm in ALL:
        verify(key_set, jws(algorithm), algorithm, "a")
    verify(key_set, jws("ES256", es256(second)), "ES256", "a")


# Which keys -------------------------------------------------------------------------------------------------------


@requirement("A-100")
@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])
@pytest.mark.parametrize("value", ["AQAB", "", None, 7])
def test_a_set_with_a_private_member_is_refused_as_a_whole(member: str, value: object) -> None:
    for jwk in (RSA, EC, ED, AKP, {"kty": "new"}, EC | {"use": "enc"}):
        with pytest.raises(UnacceptableKeys, match="private or symmetric"):
            keys(ED, jwk | {member: value})


@requirement("A-100", "S-225", "S-121")
@pytest.mark.parametrize("secret", [{"kty": "oct", "k": "c2VjcmV0"}, {"kty": "oct"}, {"kty": "oct", "alg": "HS256"}])
def test_a_set_with_a_symmetric_key_is_refused_as_a_whole(secret: dict[str, Any]) -> None:
    with pytest.raises(UnacceptableKeys, match="private or symmetric"):
        keys(ED, secret)


@requirement("A-100")
@pytest.mark.parametrize(
    "document",
    [
        {},
        {"keys": None},
        {"keys": 7},
        {"keys": True},
        {"keys": {}},
        {"keys": "RSA"},
        {"keys": []},
        {"keys": [ED] * 21},
        {"keys": [ED] * 500},
        {"keys": [None]},
        {"keys": [ED, "x"]},
        {"keys": [[ED]]},
        {"keys": [{}]},
        {"keys": [X25519]},
        {"keys": [P384, AKP]},
        {"key": [ED]},
        ED,
    ],
)
def test_a_set_without_a_usable_key_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(UnacceptableKeys, match=r"^[A-Z][^{}'\"\\]*\.$") as caught:
        KeySet.parse(document)
    assert "Ed25519" not in str(caught.value)


@requirement("S-225")
def test_twenty_keys_are_a_set() -> None:
    assert repr(keys(*([ED] * 20))) == "KeySet(20 keys)"


# Each beside the key that it was made of, which is fit.
UNFIT: dict[str, dict[str, Any]] = {
    "RSA of 1024 bits": RSA | {"n": b64_of((1 << 1023) + 1)},
    "RSA of 2047 bits": RSA | {"n": b64_of((1 << 2046) + 1)},
    "RSA of 2047 bits behind zeros": RSA | {"n": b64_of((1 << 2046) + 1, 512)},
    "RSA of 8193 bits": RSA | {"n": b64_of((1 << 8192) + 1)},
    "RSA of a million bits": RSA | {"n": "_" * 170_000},
    "RSA with exponent 1": RSA | {"e": "AQ"},
    "RSA with exponent 3": RSA | {"e": "Aw"},
    "RSA with exponent 65536": RSA | {"e": "AQAA"},
    "RSA with an even exponent": RSA | {"e": "AQAC"},
    "RSA with a huge exponent": RSA | {"e": b64_of((1 << 2000) + 1)},
    "RSA with an exponent of 33 bits": RSA | {"e": b64_of((1 << 32) + 1)},
    "RSA without n": {"kty": "RSA", "e": "AQAB"},
    "RSA without e": {"kty": "RSA", "n": RSA["n"]},
    "RSA with a number": RSA | {"e": 65537},
    "RSA that is padded": RSA | {"n": RSA["n"] + "=="},
    "RSA of plain base64": RSA | {"n": RSA["n"].replace("-", "+")},
    "RSA with a blank": RSA | {"n": RSA["n"] + " "},
    "RSA with another last character": RSA | {"e": "AQAB", "n": RSA["n"][:-1] + "R"},
    "EC that is not on the curve": EC | {"y": EC["x"]},
    "EC at infinity": EC | {"x": "A" * 43, "y": "A" * 43},
    "EC with coordinates beyond the field": EC | {"x": "_" * 42 + "8", "y": EC["y"]},
    "EC with a short coordinate": EC | {"x": EC["x"][:42]},
    "EC with a long coordinate": EC | {"x": "AA" + EC["x"]},
    "EC with a zero before x": EC | {"x": b64(bytes(1) + unb64(EC["x"]))},
    "EC with a zero before y": EC | {"y": b64(bytes(1) + unb64(EC["y"]))},
    "EC without y": {name: EC[name] for name in ("kty", "crv", "x")},
    "EC of another curve": EC | {"crv": "P-521"},
    "EC of a curve of Bitcoin": EC | {"crv": "secp256k1"},
    "EC with a list": EC | {"crv": ["P-256"]},
    "Ed25519 of 31 bytes": ED | {"x": b64(bytes(range(31)))},
    "Ed25519 of 33 bytes": ED | {"x": b64(bytes(range(33)))},
    "Ed25519 of another last character": ED | {"x": ED["x"][:-1] + "p"},
    "Ed25519 with kty EC": ED | {"kty": "EC"},
    "Ed448": {"kty": "OKP", "crv": "Ed448", "x": "A" * 76},
    "X25519": X25519,
    "no kty": {name: EC[name] for name in ("crv", "x", "y")},
    "kty in lower case": RSA | {"kty": "rsa"},
    "kty that is a list": RSA | {"kty": ["RSA"]},
    "use for encryption": RSA | {"use": "enc"},
    "use null": RSA | {"use": None},
    "use as a list": RSA | {"use": ["sig"]},
    "key_ops for encryption": RSA | {"key_ops": ["encrypt", "wrapKey"]},
    "key_ops empty": RSA | {"key_ops": []},
    "key_ops as text": RSA | {"key_ops": "verify"},
    "key_ops null": RSA | {"key_ops": None},
    "alg for encryption": RSA | {"alg": "RSA-OAEP"},
    "alg with another hash": RSA | {"alg": "RS512"},
    "alg of another kind": RSA | {"alg": "ES256"},
    "alg none": RSA | {"alg": "none"},
    "alg HS256": RSA | {"alg": "HS256"},
    "alg null": RSA | {"alg": None},
    "alg as a list": RSA | {"alg": ["RS256"]},
    "kid that is a number": RSA | {"kid": 7},
    "kid null": RSA | {"kid": None},
    "kid of 256 characters": RSA | {"kid": "k" * 256},
}
FIT: dict[str, dict[str, Any]] = {
    "RSA": RSA,
    "RSA of 3072 bits": RSA | {"n": b64_of((1 << 3071) + 1)},
    "RSA of 8192 bits": RSA | {"n": b64_of((1 << 8191) + 1)},
    "RSA with an exponent of 32 bits": RSA | {"e": b64_of((1 << 32) - 1)},
    "RSA with a zero before": RSA | {"n": b64(bytes(1) + unb64(RSA["n"]))},
    "EC": EC,
    "use": EC | {"use": "sig"},
    "key_ops": EC | {"key_ops": ["verify"]},
    "key_ops and more": EC | {"key_ops": ["sign", "verify"]},
    "alg": ED | {"alg": "EdDSA"},
    "kid of 255 characters": ED | {"kid": "k" * 255},
    "certificates and unknown members": EC | {"x5c": ["MIIB"], "x5t": 7, "x5u": None, "iat": 1, "exp": 1},
}


@requirement("S-225")
@pytest.mark.parametrize("name", UNFIT)
def test_a_key_that_is_not_fit_is_ignored(name: str) -> None:
    assert not is_fit(UNFIT[name])
    with pytest.raises(UnacceptableKeys, match="must have a public key"):
        keys(UNFIT[name])


@requirement("S-225")
@pytest.mark.parametrize("name", FIT)
def test_a_key_that_is_fit_is_kept(name: str) -> None:
    assert is_fit(FIT[name])


@requirement("S-225", "S-121")
def test_a_signature_by_a_weak_key_is_refused_though_it_would_hold() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    published = RSA | {"n": b64_of(weak.public_key().public_numbers().n), "kid": "weak"}
    text = jws("RS256", lambda message: weak.sign(message, padding.PKCS1v15(), SHA256()))
    assert refusal(keys(published, RSA), text, "RS256", "weak") is UnknownKey
    assert refusal(keys(published, RSA), text, "RS256") is UnknownKey


# Ed25519, affine: -x^2 + y^2 = 1 + d x^2 y^2 over 2^255 - 19 (RFC 8032 section 5.1).
FIELD = 2**255 - 19
EDWARDS_D = -121665 * pow(121666, -1, FIELD) % FIELD


def add(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    (x1, y1), (x2, y2) = left, right
    product = EDWARDS_D * x1 * x2 * y1 * y2 % FIELD
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, FIELD)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, FIELD)
    return x % FIELD, y % FIELD


def multiply(times: int, point: tuple[int, int]) -> tuple[int, int]:
    product = (0, 1)
    while times:
        if times & 1:
            product = add(product, point)
        point, times = add(point, point), times >> 1
    return product


def points_of_small_order() -> set[tuple[int, int]]:
    """All eight: what is left of any point once the prime part of its order is taken away."""
    root_of_minus_one = pow(2, (FIELD - 1) // 4, FIELD)
    for y in range(2, 100):
        square = (y * y - 1) * pow(EDWARDS_D * y * y + 1, -1, FIELD) % FIELD
        root = pow(square, (FIELD + 3) // 8, FIELD)
        for x in (root, root * root_of_minus_one % FIELD):
            if x * x % FIELD == square:
                left = multiply(2**252 + 27742317777372353535851937790883648493, (x, y))
                if multiply(4, left) != (0, 1):
                    return {multiply(times, left) for times in range(8)}
    return set()


@requirement("S-225", "S-121")
def test_a_key_under_which_anybody_can_sign_is_ignored() -> None:
    points = points_of_small_order()
    assert len(points) == 8
    ys = {y for _, y in points}
    for y in [*ys, *(y + FIELD for y in ys if y + FIELD < 1 << 255)]:
        for sign in (0, 1 << 255):
            assert not is_fit(ED | {"x": b64((y | sign).to_bytes(32, "little"))})


# Whatever comes ---------------------------------------------------------------------------------------------------

VALUES = st.none() | st.booleans() | st.integers(-1, 3) | st.text(max_size=4)
MEMBERS = ["kty", "crv", "n", "e", "x", "y", "alg", "use", "key_ops", "kid"]
USUAL = st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "sig", "RS256", RSA["n"], EC["x"], EC["y"]])
ANY_JWK = st.dictionaries(st.sampled_from(MEMBERS), USUAL | VALUES | st.lists(VALUES, max_size=2))


@requirement("A-100", "A-165")
@given(st.lists(ANY_JWK | VALUES, max_size=3))
def test_any_set_is_read_or_refused(jwks: list[Any]) -> None:
    key_set, error = attempt(UnacceptableKeys, lambda: KeySet.parse({"keys": jwks}))
    if key_set is None:
        assert str(error).startswith("A JWK Set must ")
    else:
        assert refusal(key_set, "e30.e30.c2ln", "RS256")


@requirement("S-225")
@given(st.text(max_size=20), st.sampled_from(ALL), st.none() | st.text(max_size=3))
def test_any_text_is_refused(text: str, algorithm: str, key_id: str | None) -> None:
    for key_set in (keys(RSA, EC, ED), keys(RSA | {"kid": "a"}, EC | {"kid": "a"}, ED | {"kid": "a"})):
        with pytest.raises(BadSignature):
            key_set.verify(text, algorithm=algorithm, key_id=key_id, algorithms=ALL)
