"""Known answers: the published ones for the standards, and frozen ones for what Grantwell derives itself.

If a frozen value changes, every token, session and stored secret made before the change is dead: then the format needs
a new version beside the old one, not a new vector.
"""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from grantwell import SecretKey
from grantwell._protocol.pkce import verifier_fits
from grantwell._protocol.tokens import format_access_token, format_client_secret, format_code, format_refresh_token
from grantwell.crypto import (
    Keyring,
    PropsOwner,
    TokenKind,
    Unsealable,
    canonical,
    digest_of,
    family_digest,
    hkdf_sha256,
    keyring,
)
from grantwell.records import SealedProps

requirement = pytest.mark.requirement

KEYRING = Keyring("https://as.test", SecretKey(bytes(range(32))))
TOKEN = "gwa_AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBCCCCCC"
FIELDS: list[Any] = ["access", "g1", None, True, 7, b"\x00\xff", ("read", "write"), "café"]
OWNER = PropsOwner(user_id="u1", grant_id="g1", client_id="c1")
DATA_KEY = bytes(range(32, 64))


@requirement("S-475")
def test_key_wrap_is_rfc_3394_section_4_6(monkeypatch: pytest.MonkeyPatch) -> None:
    kek = bytes(range(32))
    data = bytes.fromhex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F")
    wrapped = bytes.fromhex("28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21")
    assert aes_key_wrap(kek, data) == wrapped
    assert aes_key_unwrap(kek, wrapped) == data
    monkeypatch.setattr(keyring, "_wrapping_key", lambda token, kind, grant_id: kek)
    assert KEYRING.wrap(data, "t", "access", "g") == wrapped
    assert KEYRING.unwrap(wrapped, "t", "access", "g") == data


# McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B.
# Key, nonce, AAD, plaintext, ciphertext, tag.
GCM = [
    ("00" * 32, "00" * 12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    (
        "00" * 32,
        "00" * 12,
        "",
        "00" * 16,
        "cea7403d4d606b6e074ec5d3baf39d18",
        "d0d1c8a799996bf0265b98b5d48ab919",
    ),
    (
        "feffe9928665731c6d6a8f9467308308" * 2,
        "cafebabefacedbaddecaf888",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ),
]


@requirement("S-475", "A-327")
@pytest.mark.parametrize("vector", GCM, ids=["case 13", "case 14", "case 16"])
def test_encryption_is_aes_256_gcm(vector: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    key, nonce, context, plain, cipher, tag = map(bytes.fromhex, vector)
    assert AESGCM(key).encrypt(nonce, plain, context) == cipher + tag
    monkeypatch.setattr(KEYRING, "_props_context", lambda owner, version: context)
    sealed = KEYRING._seal(key, nonce, plain, OWNER, 0)
    assert sealed == b"\x01" + nonce + cipher + tag
    assert KEYRING.open_props(key, SealedProps(version=0, ciphertext=sealed), OWNER) == plain


# RFC 5869 appendix A, cut to the one block that is used here: key, salt, info, output.
HKDF = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
    ),
    (
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
    ),
    ("0b" * 22, "", "", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"),
]


@requirement("S-475", "A-328")
@pytest.mark.parametrize("vector", HKDF, ids=["case 1", "case 2", "case 3"])
def test_derivation_is_rfc_5869_with_sha_256(vector: tuple[str, ...]) -> None:
    key, salt, info, output = map(bytes.fromhex, vector)
    assert hkdf_sha256(key, salt=salt, info=info) == output


@requirement("S-140", "S-234")
def test_the_challenge_is_rfc_7636_appendix_b() -> None:
    verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert verifier_fits(verifier, challenge)
    assert not verifier_fits(challenge, challenge)


# Our own ----------------------------------------------------------------------------------------------------------


@requirement("S-465", "A-328", "A-329", "D-10")
def test_what_is_stored_of_a_token_is_frozen() -> None:
    kinds: list[TokenKind] = ["access", "refresh", "code", "client_secret"]
    assert {kind: digest_of(kind, TOKEN).hex() for kind in kinds} == {
        "access": "d41f86d7e86af3bea087e3ac2076eda401040c9300ee26d2f607fdd81d164ed4",
        "refresh": "f569616349ab52e396751bd3e19e3b741645b8eb4b61c51ed29df412d0a6ece9",
        "code": "09cfa40cb84d44c400be8aea0fc75001c1fbc163e7f43be2d56c9b848b7022ec",
        "client_secret": "7d6d351962d379420e9035831d393bfa686109decf2ba9dd5eaf29c18824e251",
    }
    assert family_digest(bytes(16)).hex() == "46c4ad35300162b5dde09c55272bd42f4798a0e9058a59fed6b2f7939dd8ff10"


@requirement("A-323", "A-328", "D-12")
def test_what_is_authenticated_and_how_is_frozen() -> None:
    assert canonical(FIELDS) == rb"('access', 'g1', None, True, 7, b'\x00\xff', ('read', 'write'), 'caf\xe9')"
    token_mac = "98954b603967a3e2fc1af1a1bcd8f504c7ace14bfe8399df0ce3057b1deff2d2"
    row_mac = "e374c83bbe6a19c2f717fd79a77fad2a36a371fab9e74d77eb739437a28691c2"
    assert KEYRING.token_mac(TOKEN, FIELDS).hex() == token_mac
    assert KEYRING.token_mac_fits(TOKEN, FIELDS, bytes.fromhex(token_mac))
    assert KEYRING.row_mac("client", FIELDS).hex() == row_mac
    assert KEYRING.row_mac_fits("client", FIELDS, bytes.fromhex(row_mac))


@requirement("S-475", "A-329")
def test_what_wraps_a_data_key_is_frozen() -> None:
    wraps: dict[TokenKind, str] = {
        "access": "be81182fa6bef3f2242980fc51bb426650cfd458b52f52ce2c9d1d4515a9b0fdef8f528493268d38",
        "refresh": "768568057673d2ebfd88eea96653ea52ddf049bfcbb2653bb1566c36ad4d8247a1293cf00b8affcf",
        "code": "760f71126d84177a82c2cf31341de4e47ebeb2bd0c38f4d549263db00bbdc0305004638055b49ac9",
    }
    for kind, wrapped in wraps.items():
        assert KEYRING.wrap(DATA_KEY, TOKEN, kind, "g1").hex() == wrapped
        assert KEYRING.unwrap(bytes.fromhex(wrapped), TOKEN, kind, "g1") == DATA_KEY


@requirement("S-475", "A-323")
def test_the_form_of_sealed_props_is_frozen() -> None:
    nonce = bytes(range(12))
    sealed = KEYRING._seal(DATA_KEY, nonce, b'{"a":1}', OWNER, 3)
    assert sealed.hex() == "01000102030405060708090a0b27703c85700496785dced3c4b28730353cc6d91a0e8ea4"
    assert KEYRING.open_props(DATA_KEY, SealedProps(version=3, ciphertext=sealed), OWNER) == b'{"a":1}'
    with pytest.raises(Unsealable, match="format"):
        KEYRING.open_props(DATA_KEY, SealedProps(version=3, ciphertext=b"\x02" + sealed[1:]), OWNER)


@requirement("S-475", "A-328")
def test_the_form_of_a_sealed_answer_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = "000102030405060708090a0b4ef3aabb8b454d1493d6a136165b0892ed30eb183a76"
    assert KEYRING.open_answer(TOKEN, "g1", 4, bytes.fromhex(sealed)) == b"answer"
    monkeypatch.setattr("secrets.token_bytes", lambda size: bytes(range(size)))
    assert KEYRING.seal_answer(TOKEN, "g1", 4, b"answer").hex() == sealed


@requirement("A-328", "S-474")
def test_what_is_derived_for_browsers_is_frozen() -> None:
    assert [digest.hex() for digest in KEYRING.cookie_digests("cookie")] == [
        "895ccd065b66852a35aabfed54b22ad28d284acdfe0b6516be41e2d52ebe3ddd"
    ]
    csrf = "1e89dd1b2e2a41fb7df2c3af805b0827ac3d92069a4d18ffd454796d77ddca94"
    assert KEYRING.csrf_token(["a", 1]) == csrf
    assert KEYRING.csrf_token_fits(["a", 1], csrf)
    throttle = "651f57d370e13a1273d6184851355739302887cfb40b7e9ce10dc194b4eca424"
    assert KEYRING.throttle_key("login", "u1").hex() == throttle


@requirement("A-328", "S-460")
def test_what_is_derived_in_place_of_being_remembered_is_frozen() -> None:
    derived = KEYRING.derived("upstream nonce", "state")
    assert derived == "Ixg3aUq23zhrWMEMuv0DSKOVMKEd9pXopUdU-XbvE2Y"
    others = [("upstream verifier", "state"), ("upstream nonce", "state2"), ("upstream nonce', 'state", "")]
    assert len({derived, *(KEYRING.derived(purpose, value) for purpose, value in others)}) == 4


@requirement("A-328")
def test_the_form_of_what_a_session_keeps_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = "000102030405060708090a0b943930eb7f8eac1c15f6c8b2e725ce967ad6dd28f050837b"
    assert KEYRING.open_for_cookie("cookie", bytes.fromhex(sealed)) == b"upstream"
    monkeypatch.setattr("secrets.token_bytes", lambda size: bytes(range(size)))
    assert KEYRING.seal_for_cookie("cookie", b"upstream").hex() == sealed


@requirement("S-209", "D-10", "S-182")
def test_the_wire_form_of_tokens_is_frozen() -> None:
    grant, secret, family = "A" * 16, bytes(range(32)), bytes(range(16))
    middle = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    tokens = [
        format_access_token(grant, secret),
        format_code(grant, secret),
        format_refresh_token(grant, family, secret),
        format_client_secret(secret),
    ]
    assert [token[:-6] for token in tokens] == [
        f"gwa_{grant}{middle}",
        f"gwc_{grant}{middle}",
        f"gwr_{grant}AAECAwQFBgcICQoLDA0ODw{middle}",
        f"gws_{middle}",
    ]
    assert [len(token) for token in tokens] == [69, 69, 91, 53]
    assert [token[-6:] for token in tokens] == ["DKK4WA", "9zgiJg", "dLjHUg", "nrJNcg"]
