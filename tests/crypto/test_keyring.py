"""What a stolen or altered database is good for: nothing opens, nothing passes, and every bit counts."""

from __future__ import annotations

import copy
import itertools
import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell import SecretKey
from grantwell.crypto import (
    Keyring,
    PropsOwner,
    TokenKind,
    Unsealable,
    canonical,
    digest_of,
    equal,
    hkdf_sha256,
)
from grantwell.records import SealedProps

requirement = pytest.mark.requirement

ISSUER = "https://as.test"
KEY = b"k" * 32
KEYRING = Keyring(ISSUER, SecretKey(KEY))
OWNER = PropsOwner(user_id="u1", grant_id="g1", client_id="c1")
TOKEN = "gwa_token"
KINDS: tuple[TokenKind, ...] = ("access", "refresh", "code", "client_secret")


def flips(data: bytes) -> list[bytes]:
    """The data with each of its bits flipped, cut to each length, and longer by one."""
    flipped = [data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :] for at in range(len(data)) for bit in range(8)]
    return [*flipped, *(data[:length] for length in range(len(data))), data + b"\x00"]


@requirement("A-326", "S-475", "A-321")
def test_of_sealed_props_every_bit_counts() -> None:
    data_key, sealed = KEYRING.seal_props(b'{"canary":"teal"}', OWNER, 3)
    assert b"teal" not in sealed.ciphertext
    assert KEYRING.open_props(data_key, sealed, OWNER) == b'{"canary":"teal"}'
    for damaged in flips(sealed.ciphertext):
        with pytest.raises(Unsealable):
            KEYRING.open_props(data_key, SealedProps(version=3, ciphertext=damaged), OWNER)
    for key in [*flips(data_key)[:256], b"", b"k" * 16, b"k" * 31]:
        with pytest.raises(Unsealable):
            KEYRING.open_props(key, sealed, OWNER)


@requirement("A-323", "A-324", "S-475")
def test_props_open_for_their_owner_their_version_and_their_server_alone() -> None:
    data_key, sealed = KEYRING.seal_props(b"1", OWNER, 3)
    for owner in (
        PropsOwner("u2", "g1", "c1"),
        PropsOwner(None, "g1", "c1"),
        PropsOwner("u1", "g2", "c1"),
        PropsOwner("u1", "g1", "c2"),
        PropsOwner("u1g1", "", "c1"),
    ):
        with pytest.raises(Unsealable):
            KEYRING.open_props(data_key, sealed, owner)
    with pytest.raises(Unsealable):
        KEYRING.open_props(data_key, SealedProps(version=4, ciphertext=sealed.ciphertext), OWNER)
    with pytest.raises(Unsealable):
        Keyring("https://other.test", SecretKey(KEY)).open_props(data_key, sealed, OWNER)


@requirement("A-326", "A-324", "A-329", "A-330")
def test_of_a_wrapped_key_every_bit_counts_and_so_do_token_kind_and_grant() -> None:
    data_key = secrets.token_bytes(32)
    wrapped = KEYRING.wrap(data_key, TOKEN, "refresh", "g1")
    assert len(wrapped) == 40
    assert KEYRING.unwrap(wrapped, TOKEN, "refresh", "g1") == data_key
    for damaged in flips(wrapped):
        with pytest.raises(Unsealable):
            KEYRING.unwrap(damaged, TOKEN, "refresh", "g1")
    with pytest.raises(Unsealable):
        KEYRING.unwrap(wrapped, "gwa_other", "refresh", "g1")
    with pytest.raises(Unsealable):
        KEYRING.unwrap(wrapped, TOKEN, "refresh", "g2")
    for kind in KINDS:
        if kind != "refresh":
            with pytest.raises(Unsealable):
                KEYRING.unwrap(wrapped, TOKEN, kind, "g1")
    stored = digest_of("refresh", TOKEN)
    for guess in (stored.hex(), stored.decode("latin-1")):
        with pytest.raises(Unsealable):
            KEYRING.unwrap(wrapped, guess, "refresh", "g1")


@requirement("A-326", "S-475")
def test_of_a_sealed_answer_every_bit_counts_and_so_do_token_grant_and_generation() -> None:
    sealed = KEYRING.seal_answer(TOKEN, "g1", 4, b"both tokens")
    assert KEYRING.open_answer(TOKEN, "g1", 4, sealed) == b"both tokens"
    for damaged in flips(sealed):
        with pytest.raises(Unsealable):
            KEYRING.open_answer(TOKEN, "g1", 4, damaged)
    for token, grant, generation in (("other", "g1", 4), (TOKEN, "g2", 4), (TOKEN, "g1", 5)):
        with pytest.raises(Unsealable):
            KEYRING.open_answer(token, grant, generation, sealed)
    for keyring in (Keyring("https://other.test", SecretKey(KEY)), Keyring(ISSUER, SecretKey(b"o" * 32))):
        with pytest.raises(Unsealable):
            keyring.open_answer(TOKEN, "g1", 4, sealed)


FIELDS: list[Any] = ["access", "g1", "u1", "c1", ("read", "write"), ("https://as.test/api",), 1, 2, b"wrapped", 0]


@requirement("A-323", "A-324", "A-326")
def test_a_mac_fits_one_token_one_key_and_one_row() -> None:
    mac = KEYRING.token_mac(TOKEN, FIELDS)
    assert KEYRING.token_mac_fits(TOKEN, FIELDS, mac)
    for damaged in flips(mac):
        assert not KEYRING.token_mac_fits(TOKEN, FIELDS, damaged)
    assert not KEYRING.token_mac_fits("other", FIELDS, mac)
    assert not Keyring(ISSUER, SecretKey(b"o" * 32)).token_mac_fits(TOKEN, FIELDS, mac)
    changes: list[tuple[int, Any]] = [
        (0, "refresh"),
        (1, "g2"),
        (2, "u2"),
        (2, None),
        (3, "c2"),
        (4, ("read", "write", "admin")),
        (4, ("read write",)),
        (4, ()),
        (5, ("https://as.test/api", "https://as.test/other")),
        (6, 0),
        (7, 3),
        (7, "2"),
        (8, b"wrappee"),
        (8, "wrapped"),
        (9, 1),
        (9, False),
    ]
    for at, value in changes:
        assert not KEYRING.token_mac_fits(TOKEN, [*FIELDS[:at], value, *FIELDS[at + 1 :]], mac), (at, value)
    row = KEYRING.row_mac("client", FIELDS)
    assert KEYRING.row_mac_fits("client", FIELDS, row)
    assert not KEYRING.row_mac_fits("user", FIELDS, row)
    assert not KEYRING.row_mac_fits("client", FIELDS[:-1], row)
    assert not Keyring(ISSUER, SecretKey(b"o" * 32)).row_mac_fits("client", FIELDS, row)


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.binary(max_size=6)
fields = st.lists(st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6), max_size=5)


def typed(value: Any) -> Any:
    """A value that compares equal only to one of the same types."""
    return (type(value), tuple(map(typed, value)) if isinstance(value, tuple | list) else value)


@requirement("A-323")
@given(fields, fields)
def test_no_two_rows_have_the_same_encoding(one: list[Any], other: list[Any]) -> None:
    assert (canonical(one) == canonical(other)) == (typed(one) == typed(other))
    assert (canonical(["t"]) + canonical(one) == canonical(["t"]) + canonical(other)) == (typed(one) == typed(other))


@requirement("A-323")
def test_encodings_do_not_flow_together_at_their_borders() -> None:
    tricky: list[list[Any]] = [
        [],
        [""],
        ["", ""],
        [None],
        ["None"],
        ["a", "b"],
        ["ab"],
        ["a', 'b"],
        ['a", "b'],
        ["a\\", "b"],
        [("a", "b")],
        [["a", "b"]],
        [("a",), "b"],
        [1],
        ["1"],
        [True],
        [b"1"],
        ["b'1'"],
        ["é"],
        ["\\xe9"],
        ["e\u0301"],
        ["\ud800"],
        [10**30],
    ]
    assert len({canonical(one) for one in tricky}) == len(tricky)
    assert all(not one.startswith(other) for one, other in itertools.permutations(map(canonical, tricky), 2))


@requirement("A-328", "A-329", "A-336", "D-12")
def test_no_two_purposes_share_a_derivation() -> None:
    keyring = Keyring(ISSUER, SecretKey(KEY))
    values = [
        *(digest_of(kind, "x") for kind in KINDS),
        hkdf_sha256(b"x", salt=KEY, info=b"grantwell/token-mac/v1"),
        keyring.token_mac("x", []),
        keyring.row_mac("x", []),
        *keyring.cookie_digests("x"),
        hkdf_sha256(b"x", salt=KEY, info=b"grantwell/cookie-seal/v1"),
        bytes.fromhex(keyring.csrf_token(["x"])),
        keyring.throttle_key("x"),
        keyring.wrap(bytes(32), "x", "access", "g"),
        keyring.wrap(bytes(32), "x", "refresh", "g"),
        keyring.wrap(bytes(32), "x", "access", "h"),
    ]
    assert len(set(values)) == len(values)


@requirement("A-327", "A-332", "S-472")
def test_no_key_and_no_nonce_is_used_twice() -> None:
    sealed = [KEYRING.seal_props(b"1", OWNER, 0) for _ in range(5000)]
    answers = [KEYRING.seal_answer(TOKEN, "g1", 1, b"1") for _ in range(5000)]
    assert len({key for key, _ in sealed}) == 5000
    assert len({props.ciphertext[1:13] for _, props in sealed}) == 5000
    assert len({answer[:12] for answer in answers}) == 5000


@requirement("S-470", "A-334", "F-073")
def test_while_a_key_is_being_replaced_both_are_good_and_new_values_are_made_with_the_new() -> None:
    old, new = SecretKey(KEY), SecretKey(b"n" * 32)
    before, during = Keyring(ISSUER, old), Keyring(ISSUER, SecretKey(b"n" * 32, older=KEY))
    after = Keyring(ISSUER, new)
    for made_by, good_for, bad_for in [(before, during, after), (during, after, before)]:
        mac = made_by.token_mac(TOKEN, FIELDS)
        row = made_by.row_mac("client", FIELDS)
        answer = made_by.seal_answer(TOKEN, "g1", 1, b"1")
        csrf = made_by.csrf_token(["page"])
        cookie = made_by.cookie_digests("cookie")[0]
        kept = made_by.seal_for_cookie("cookie", b"upstream")
        assert good_for.open_for_cookie("cookie", kept) == b"upstream"
        assert good_for.token_mac_fits(TOKEN, FIELDS, mac)
        assert good_for.row_mac_fits("client", FIELDS, row)
        assert good_for.open_answer(TOKEN, "g1", 1, answer) == b"1"
        assert good_for.csrf_token_fits(["page"], csrf)
        assert cookie in good_for.cookie_digests("cookie")
        assert not bad_for.token_mac_fits(TOKEN, FIELDS, mac)
        assert not bad_for.row_mac_fits("client", FIELDS, row)
        assert not bad_for.csrf_token_fits(["page"], csrf)
        assert cookie not in bad_for.cookie_digests("cookie")
        with pytest.raises(Unsealable):
            bad_for.open_answer(TOKEN, "g1", 1, answer)
        with pytest.raises(Unsealable):
            bad_for.open_for_cookie("cookie", kept)
    assert before.wrap(bytes(32), TOKEN, "access", "g") == after.wrap(bytes(32), TOKEN, "access", "g")


@requirement("A-326", "A-332")
def test_of_what_a_session_keeps_every_bit_counts_and_no_other_cookie_opens_it() -> None:
    sealed = KEYRING.seal_for_cookie("cookie", b"upstream tokens")
    assert KEYRING.open_for_cookie("cookie", sealed) == b"upstream tokens"
    assert KEYRING.seal_for_cookie("cookie", b"upstream tokens") != sealed
    for spoiled in flips(sealed):
        with pytest.raises(Unsealable):
            KEYRING.open_for_cookie("cookie", spoiled)
    for other in ("cookie2", "", "COOKIE"):
        with pytest.raises(Unsealable):
            KEYRING.open_for_cookie(other, sealed)


@requirement("S-474", "A-326")
def test_a_form_token_fits_its_fields_alone_whatever_is_sent() -> None:
    token = KEYRING.csrf_token(["session", "page", 1])
    for sent in ("", token[:-1], token + "0", token.upper(), "é", "\ud800", "\x00" * 64, "0" * 64):
        assert not KEYRING.csrf_token_fits(["session", "page", 1], sent)
    others: list[list[Any]] = [["session", "page", 2], ["session2", "page", 1], ["session", "page"], ["sessionpage", 1]]
    for other in others:
        assert not KEYRING.csrf_token_fits(other, token)


@requirement("S-230")
def test_comparison_does_not_care_where_or_how_long() -> None:
    assert equal(b"a" * 32, b"a" * 32)
    assert not equal(b"a" * 32, b"a" * 31 + b"b")
    assert not equal(b"a", b"")
    assert copy.copy(KEYRING)._keys == (KEY,)
