"""JWT assertions: one spelling, and the rules for those that authenticate a client and those that are a grant."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._protocol.assertions import (
    AssertionId,
    IdJag,
    MalformedAssertion,
    ParsedAssertion,
    RefusedAssertion,
    check_client_assertion,
    check_id_jag,
    parse_assertion,
)
from grantwell.config import CLOCK_SKEW
from tests.protocol.attempts import attempt

requirement = pytest.mark.requirement

NOW = 1_800_000_000
ISSUER = "https://as.test"
CLIENT = "C1"
ABSENT: Any = Ellipsis

HEADER: dict[str, Any] = {"alg": "ES256", "kid": "k1"}
CLAIMS: dict[str, Any] = {
    "iss": CLIENT,
    "sub": CLIENT,
    "aud": ISSUER,
    "exp": NOW + 300,
    "iat": NOW,
    "jti": "j1",
}
ID_JAG_HEADER: dict[str, Any] = HEADER | {"typ": "oauth-id-jag+jwt"}
ID_JAG: dict[str, Any] = {
    "iss": "https://idp.test",
    "sub": "U019488227",
    "aud": ISSUER,
    "client_id": CLIENT,
    "exp": NOW + 300,
    "iat": NOW,
    "jti": "j1",
}


def b64(data: bytes | str) -> str:
    return urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


def compact(header: Any, claims: Any) -> str:
    """An assertion of these parts; a text or bytes go in as they are, the rest as JSON."""
    raw = (part if isinstance(part, (str, bytes)) else json.dumps(part) for part in (header, claims))
    return ".".join((*map(b64, raw), b64("signature")))


def without(members: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (members | changes).items() if value is not ABSENT}


def authenticated(header: dict[str, Any] | None = None, /, **changes: Any) -> AssertionId:
    """The outcome of a client assertion that is good but for the changes."""
    parsed = parse_assertion(compact(header or HEADER, without(CLAIMS, changes)))
    return check_client_assertion(parsed, client_id=CLIENT, issuer=ISSUER, now=NOW)


def granted(header: dict[str, Any] | None = None, /, **changes: Any) -> IdJag:
    """The outcome of an ID-JAG that is good but for the changes."""
    parsed = parse_assertion(compact(header or ID_JAG_HEADER, without(ID_JAG, changes)))
    return check_id_jag(parsed, client_id=CLIENT, issuer=ISSUER, now=NOW)


BOTH = pytest.mark.parametrize("check", [authenticated, granted], ids=["client assertion", "ID-JAG"])


# The text ---------------------------------------------------------------------------------------------------------


@requirement("S-220", "S-280")
def test_an_assertion_is_read_as_it_is_written() -> None:
    text = compact(HEADER | {"typ": "JWT"}, CLAIMS | {"name": "Zoë", "groups": [{"a": 1.5}]})
    parsed = parse_assertion(text)
    assert parsed.text == text
    assert parsed.header == HEADER | {"typ": "JWT"}
    assert parsed.claims == CLAIMS | {"name": "Zoë", "groups": [{"a": 1.5}]}
    assert (parsed.algorithm, parsed.key_id, parsed.issuer, parsed.subject) == ("ES256", "k1", CLIENT, CLIENT)


@requirement("S-220")
@pytest.mark.parametrize("value", [ABSENT, None, 7, [CLIENT], {}])
def test_what_is_no_string_is_no_issuer_and_no_subject(value: Any) -> None:
    parsed = parse_assertion(compact({"alg": "RS256"}, without(CLAIMS, {"iss": value, "sub": value})))
    assert (parsed.key_id, parsed.issuer, parsed.subject) == (None, None, None)


@requirement("S-466")
def test_an_assertion_is_not_shown() -> None:
    parsed = parse_assertion(compact(HEADER, CLAIMS | {"email": "canary@c1.test"}))
    assert parsed.text not in repr(parsed)
    assert "canary" not in repr(parsed)
    assert "canary" not in repr(granted(email="canary@c1.test"))


H, C, S = b64('{"alg":"ES256"}'), b64("{}"), b64("signature")
UNREADABLE: dict[str, str] = {
    "nothing": "",
    "one part": H,
    "two parts": f"{H}.{C}",
    "four parts": f"{H}.{C}.{S}.{S}",
    "five parts, as JWE has": f"{H}..{S}.{C}.{S}",
    "six thousand parts": "." * 6000,
    "JWS in JSON": json.dumps({"protected": H, "payload": C, "signature": S}),
    "no header": f".{C}.{S}",
    "no payload": f"{H}..{S}",
    "no signature": f"{H}.{C}.",
    "padding in the header": f"{H}=.{C}.{S}",
    "padding in the payload": f"{H}.e30=.{S}",
    "padding in the signature": f"{H}.{C}.QQ==",
    "base64 with a plus": f"{H}.{C}.ab+/",
    "a blank before": f" {H}.{C}.{S}",
    "a newline behind": f"{H}.{C}.{S}\n",
    "a newline inside": f"{H}.{C[:2]}\n{C[2:]}.{S}",
    "a NUL": f"{H}.{C}.{S}\0",
    "a letter of another script": f"{H}.{C}.\u0430\u0430\u0430\u0430",
    "half a surrogate pair": f"{H}.{C}.\ud800aaa",
    "one character too many": f"{H}.{C}.abcde",
    "bits that encode nothing in the signature": f"{H}.{C}.QR",
    "bits that encode nothing in the payload": f"{H}.e31.{S}",
    "two assertions": f"{H}.{C}.{S} {H}.{C}.{S}",
    "too long by one": f"{H}.{C}." + "A" * (16_385 - len(f"{H}.{C}.")),
    "a megabyte": f"{H}.{C}." + "A" * (1 << 20),
    "a megabyte of parts": "A." * (1 << 19),
    "the header is a list": compact('["alg"]', "{}"),
    "the header is null": compact("null", "{}"),
    "the header is no JSON": compact("{alg:1}", "{}"),
    "the header is no UTF-8": compact(b'{"alg":"\xff"}', "{}"),
    "the header has alg twice": compact('{"alg":"ES256","alg":"none"}', "{}"),
    "the header has alg twice, escaped": compact('{"alg":"ES256","\\u0061lg":"none"}', "{}"),
    "the header has no alg": compact({"typ": "JWT"}, "{}"),
    "alg is null": compact({"alg": None}, "{}"),
    "alg is a list": compact({"alg": ["ES256"]}, "{}"),
    "alg is empty": compact({"alg": ""}, "{}"),
    "alg is very long": compact({"alg": "E" * 256}, "{}"),
    "kid is null": compact({"alg": "ES256", "kid": None}, "{}"),
    "kid is a number": compact({"alg": "ES256", "kid": 7}, "{}"),
    "kid is empty": compact({"alg": "ES256", "kid": ""}, "{}"),
    "kid is long": compact({"alg": "ES256", "kid": "k" * 256}, "{}"),
    "typ is a number": compact({"alg": "ES256", "typ": 7}, "{}"),
    "typ is null": compact({"alg": "ES256", "typ": None}, "{}"),
    "typ is empty": compact({"alg": "ES256", "typ": ""}, "{}"),
    "crit names something": compact({"alg": "ES256", "crit": ["exp"], "exp": 1}, "{}"),
    "crit is empty": compact({"alg": "ES256", "crit": []}, "{}"),
    "crit is null": compact({"alg": "ES256", "crit": None}, "{}"),
    "the payload is not encoded": compact({"alg": "ES256", "b64": False, "crit": ["b64"]}, "{}"),
    "the payload is not encoded, but not critical": compact({"alg": "ES256", "b64": False}, "{}"),
    "the payload is a list": compact(HEADER, "[]"),
    "the payload is a string": compact(HEADER, '"claims"'),
    "the payload is text": compact(HEADER, "Example of Ed25519 signing"),
    "the payload is another assertion": compact(HEADER | {"cty": "JWT"}, f"{H}.{C}.{S}"),
    "the payload has iss twice": compact(HEADER, '{"iss":"C1","iss":"C2"}'),
    "the payload has a member twice, deep": compact(HEADER, '{"cnf":{"jkt":1,"jkt":2}}'),
    "the payload is nested deeply": compact(HEADER, '{"a":' * 2000 + "1" + "}" * 2000),
    "the payload has a huge number": compact(HEADER, '{"exp":' + "9" * 4000 + "}"),
    "the payload has a number that is none": compact(HEADER, '{"exp":NaN}'),
    "the payload has very many members": compact(HEADER, {str(number): 0 for number in range(500)}),
    "the payload begins with a mark": compact(HEADER, "\ufeff{}"),
}


@requirement("S-220", "S-280", "A-087", "A-103", "C-179")
@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_signed_jwt_of_one_spelling_is_malformed(name: str) -> None:
    text = UNREADABLE[name]
    with pytest.raises(MalformedAssertion) as caught:
        parse_assertion(text)
    assert caught.value.reason == str(caught.value)
    assert caught.value.__cause__ is None
    assert not text or text not in caught.value.reason


@requirement("S-220", "S-280")
def test_the_limits_themselves_are_allowed() -> None:
    text = compact(HEADER, {"a": "x" * 9000})
    text += "A" * (16_384 - len(text))
    assert parse_assertion(text).claims
    assert parse_assertion(compact({"alg": "ES256", "kid": "k" * 255, "typ": "t" * 255}, "{}")).key_id == "k" * 255


@requirement("A-087", "A-103")
def test_a_huge_text_is_refused_at_once() -> None:
    claims = b64(b'{"a":"' + b"x" * (12 << 20) + b'"}')
    huge = [f"{H}.{C}.{claims}", f"{H}.{claims}.{S}", f"{claims}.{C}.{S}", "." * (16 << 20), "\u0430" * (16 << 20)]
    before = time.process_time()
    for text in huge:
        with pytest.raises(MalformedAssertion):
            parse_assertion(text)
    assert time.process_time() - before < 0.1


@requirement("S-225")
def test_keys_in_the_header_are_read_over() -> None:
    header = HEADER | {"jwk": {"kty": "EC"}, "jku": "https://evil.test", "x5u": 7, "x5c": ["MIIB"], "x5t": None}
    parsed = parse_assertion(compact(header, CLAIMS))
    assert (parsed.algorithm, parsed.key_id) == ("ES256", "k1")


@requirement("S-225")
@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS512", "x"])
def test_which_algorithm_it_is_does_not_matter_here(algorithm: str) -> None:
    assert parse_assertion(compact({"alg": algorithm}, "{}")).algorithm == algorithm


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def is_read(text: str) -> bool:
    return attempt(MalformedAssertion, lambda: parse_assertion(text))[0] is not None


@requirement("S-220")
@pytest.mark.parametrize("size", [15, 16, 17])
def test_every_part_has_one_spelling(size: int) -> None:
    """Of the last character of a part six, four or two bits count; the others must be zero."""
    spellings = {15: 64, 16: 4, 17: 16}[size]
    signature = b64(bytes(size))
    assert sum(is_read(f"{H}.{C}.{signature[:-1]}{last}") for last in ALPHABET) == spellings
    payload = b64('{"a":"' + "x" * (size - 8) + '"}')
    read = [last for last in ALPHABET if is_read(f"{H}.{payload[:-1]}{last}.{S}")]
    assert payload[-1] in read
    assert len(read) == 1


# What both must say -----------------------------------------------------------------------------------------------


@requirement("S-222", "S-287", "S-281", "C-183")
@BOTH
@pytest.mark.parametrize(
    "audience",
    [
        ABSENT,
        None,
        "",
        [],
        [[]],
        True,
        0,
        {"aud": ISSUER},
        {ISSUER: ISSUER},
        [ISSUER, "https://other.test"],
        ["https://other.test", ISSUER],
        [ISSUER, ISSUER],
        [[ISSUER]],
        "https://other.test",
        "https://as.test/token",
        "https://as.test/par",
        ["https://as.test/token"],
        "https://as.test/",
        "https://AS.test",
        "HTTPS://as.test",
        "https://as.test:443",
        "http://as.test",
        "https://as.test ",
        "https://as.test.evil.test",
        f"{ISSUER} {ISSUER}/token",
        CLIENT,
    ],
    ids=str,
)
def test_the_audience_is_this_server_alone(check: Any, audience: object) -> None:
    with pytest.raises(RefusedAssertion, match="aud "):
        check(aud=audience)


@requirement("S-222", "S-287")
@BOTH
@pytest.mark.parametrize("audience", [ISSUER, [ISSUER]], ids=["string", "list of one"])
def test_the_audience_may_be_a_string_or_a_list_of_one(check: Any, audience: object) -> None:
    assert check(aud=audience).jti == "j1"


NO_INSTANTS: list[Any] = [None, True, False, "1800000300", str(NOW), NOW + 0.5, float(NOW), [NOW], {}, ""]


@requirement("S-223", "S-281", "S-289", "C-183")
@BOTH
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", NO_INSTANTS, ids=repr)
def test_an_instant_is_an_integer(check: Any, name: str, value: object) -> None:
    with pytest.raises(RefusedAssertion, match=f"{name} .* not an integer"):
        check(**{name: value})


@requirement("S-223", "S-281", "S-289")
@BOTH
@pytest.mark.parametrize("expires_at", [NOW, NOW - 1, NOW - 30, NOW - 60, NOW - 86_400, 0, -1, -(2**52)])
def test_an_assertion_has_not_expired(check: Any, expires_at: int) -> None:
    with pytest.raises(RefusedAssertion, match="has expired"):
        check(exp=expires_at, iat=expires_at - 60)


@requirement("S-223", "S-281", "S-471")
@BOTH
@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_a_clock_may_be_sixty_seconds_ahead_and_no_more(check: Any, name: str) -> None:
    assert CLOCK_SKEW == 60
    assert check(**{name: NOW + 60}).expires_at == NOW + 300
    assert check(**{name: NOW - 1}).expires_at == NOW + 300
    for later in (61, 3600, 2**52):
        with pytest.raises(RefusedAssertion, match=f"{name} .* in the future"):
            check(**{name: NOW + later})


@requirement("S-224", "S-289", "S-294")
@BOTH
@pytest.mark.parametrize("jti", [ABSENT, None, "", 7, True, ["j1"], {}, "j" * 256], ids=lambda jti: str(jti)[:9])
def test_an_assertion_has_an_id(check: Any, jti: object) -> None:
    with pytest.raises(RefusedAssertion, match="jti "):
        check(jti=jti)


@requirement("S-224", "S-294")
@BOTH
@pytest.mark.parametrize("jti", ["j", "j" * 255, "ä b\n", "urn:uuid:1"], ids=lambda jti: jti[:9])
def test_any_text_is_an_id(check: Any, jti: str) -> None:
    checked = check(jti=jti, exp=NOW + 123)
    assert (checked.jti, checked.expires_at) == (jti, NOW + 123)


# A client's -------------------------------------------------------------------------------------------------------


@requirement("S-219", "S-221", "S-223")
def test_a_client_assertion_proves_its_client() -> None:
    assert authenticated() == AssertionId(jti="j1", expires_at=NOW + 300)
    assert authenticated(iat=ABSENT, name="Zoë", client_id="C9").jti == "j1"


@requirement("S-221", "S-227")
@pytest.mark.parametrize("name", ["iss", "sub"])
@pytest.mark.parametrize("value", [ABSENT, None, "", "C2", "c1", "C1 ", [CLIENT], 1, True, {CLIENT: CLIENT}], ids=str)
def test_issuer_and_subject_are_the_client(name: str, value: object) -> None:
    with pytest.raises(RefusedAssertion, match="iss and sub "):
        authenticated(**{name: value})


@requirement("S-221")
def test_the_assertion_of_one_client_does_not_speak_for_another() -> None:
    parsed = parse_assertion(compact(HEADER, CLAIMS))
    for other in ("C2", "", ISSUER):
        with pytest.raises(RefusedAssertion, match="iss and sub "):
            check_client_assertion(parsed, client_id=other, issuer=ISSUER, now=NOW)


@requirement("S-223")
def test_a_client_assertion_lives_for_an_hour_at_most() -> None:
    assert authenticated(exp=NOW + 3660).expires_at == NOW + 3660
    for later in (3661, 86_400, 2**52):
        with pytest.raises(RefusedAssertion, match="lives too long"):
            authenticated(exp=NOW + later)


@requirement("S-223")
def test_a_client_assertion_is_not_older_than_a_day() -> None:
    assert authenticated(iat=NOW - 86_400)
    for issued_at in (NOW - 86_401, 0, -1):
        with pytest.raises(RefusedAssertion, match="too old"):
            authenticated(iat=issued_at)


@requirement("S-223", "S-289")
@BOTH
def test_an_assertion_without_an_end_is_refused(check: Any) -> None:
    with pytest.raises(RefusedAssertion, match=r"exp .* missing"):
        check(exp=ABSENT)


@requirement("S-226")
@pytest.mark.parametrize(
    "typ",
    [
        ABSENT,
        "JWT",
        "jwt",
        "application/jwt",
        "client-authentication+jwt",
        "Client-Authentication+JWT",
        "application/client-authentication+jwt",
    ],
)
def test_a_client_assertion_may_say_what_it_is(typ: Any) -> None:
    assert authenticated(without(HEADER, {"typ": typ})).jti == "j1"


@requirement("S-226", "S-227")
@pytest.mark.parametrize(
    "typ",
    [
        "at+jwt",
        "application/at+jwt",
        "oauth-id-jag+jwt",
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "oauth-authz-req+jwt",
        "token-introspection+jwt",
        "entity-statement+jwt",
        "JOSE",
        "JWT ",
        "application/application/jwt",
        "text/jwt",
        "client-authentication",
        "client-authentication+jwt; v=1",
        "\u212aWT",
    ],
)
def test_a_jwt_made_for_something_else_is_no_client_assertion(typ: str) -> None:
    with pytest.raises(RefusedAssertion, match="another kind"):
        authenticated(HEADER | {"typ": typ})


@requirement("S-226")
def test_an_id_jag_is_no_client_assertion_and_the_other_way_round() -> None:
    both = ID_JAG | {"iss": CLIENT, "sub": CLIENT}
    with pytest.raises(RefusedAssertion, match="another kind"):
        authenticated(ID_JAG_HEADER, **both)
    with pytest.raises(RefusedAssertion, match="no ID-JAG"):
        granted(HEADER, **both)


# A grant ----------------------------------------------------------------------------------------------------------


@requirement("S-280", "S-281", "S-289")
def test_an_id_jag_says_who_may_do_what() -> None:
    jag = granted(scope="chat.read chat.history", resource="https://as.test/api", email="u@idp.test")
    assert jag == IdJag(
        issuer="https://idp.test",
        subject="U019488227",
        jti="j1",
        expires_at=NOW + 300,
        scopes=("chat.read", "chat.history"),
        resource=("https://as.test/api",),
        claims=ID_JAG | {"scope": "chat.read chat.history", "resource": "https://as.test/api", "email": "u@idp.test"},
    )
    assert (granted().scopes, granted().resource) == (None, ())


@requirement("S-286", "C-180")
@pytest.mark.parametrize(
    "typ",
    [
        ABSENT,
        "JWT",
        "at+jwt",
        "dpop+jwt",
        "client-authentication+jwt",
        "id-jag+jwt",
        "oauth-id-jag",
        "oauth-id-jag+jwt ",
    ],
)
def test_an_id_jag_says_that_it_is_one(typ: Any) -> None:
    with pytest.raises(RefusedAssertion, match="no ID-JAG"):
        granted(without(HEADER, {"typ": typ}))


@requirement("S-286")
@pytest.mark.parametrize("typ", ["oauth-id-jag+jwt", "OAuth-ID-JAG+JWT", "application/oauth-id-jag+jwt"])
def test_the_type_of_an_id_jag_is_a_media_type(typ: str) -> None:
    assert granted(HEADER | {"typ": typ}).jti == "j1"


@requirement("S-289", "S-281", "C-183")
@pytest.mark.parametrize("name", ["iss", "sub", "aud", "client_id", "jti", "exp", "iat"])
def test_every_claim_that_an_id_jag_must_have_is_wanted(name: str) -> None:
    with pytest.raises(RefusedAssertion):
        granted(**{name: ABSENT})
    unusable: list[Any] = [None, "", [], True, 7.5]
    for value in unusable:
        with pytest.raises(RefusedAssertion):
            granted(**{name: value})


@requirement("S-288")
@pytest.mark.parametrize("value", ["C2", "c1", "C1 ", [CLIENT], 1], ids=str)
def test_an_id_jag_is_for_the_client_that_presents_it(value: object) -> None:
    with pytest.raises(RefusedAssertion, match="another client"):
        granted(client_id=value)


@requirement("S-298")
def test_an_id_jag_of_this_server_itself_is_refused() -> None:
    with pytest.raises(RefusedAssertion, match="this server itself"):
        granted(iss=ISSUER)


@requirement("S-281")
@pytest.mark.parametrize(("name", "most"), [("iss", 2048), ("sub", 255)])
def test_who_issued_an_id_jag_and_for_whom_is_a_text_of_some_length(name: str, most: int) -> None:
    assert granted(**{name: "x" * most})
    for value in ("x" * (most + 1), ["x"], {"x": "x"}, 7):
        with pytest.raises(RefusedAssertion, match=f"{name} "):
            granted(**{name: value})


@requirement("S-285", "S-471", "C-185")
@pytest.mark.parametrize(
    ("issued_at", "expires_at", "good"),
    [
        (NOW, NOW + 1, True),
        (NOW, NOW + 360, True),
        (NOW, NOW + 361, False),
        (NOW - 359, NOW + 1, True),
        (NOW - 360, NOW + 1, False),
        (NOW + 60, NOW + 420, True),
        (NOW + 60, NOW + 421, False),
        (NOW + 60, NOW + 61, True),
        (NOW + 60, NOW + 60, False),
        (NOW + 60, NOW + 30, False),
        (0, NOW + 300, False),
        (-(2**53) + 1, NOW + 300, False),
    ],
)
def test_an_id_jag_lives_for_five_minutes(issued_at: int, expires_at: int, good: bool) -> None:
    jag, refused = attempt(RefusedAssertion, lambda: granted(iat=issued_at, exp=expires_at))
    assert (jag is not None) is good
    assert good or "lives too long" in str(refused)


@requirement("S-293", "S-297", "C-183")
@pytest.mark.parametrize("name", ["authorization_details", "cnf"])
@pytest.mark.parametrize("value", [None, [], {}, [{"type": "x"}], {"jkt": "x"}, "", False], ids=str)
def test_what_would_have_to_be_honoured_and_is_not_known_is_refused(name: str, value: object) -> None:
    with pytest.raises(RefusedAssertion, match="not supported"):
        granted(**{name: value})


@requirement("S-292")
@pytest.mark.parametrize("scope", ["a", "a b", "a:b/c", "a b a", "!#[]~"])
def test_the_scopes_of_an_id_jag_are_read(scope: str) -> None:
    assert granted(scope=scope).scopes == tuple(dict.fromkeys(scope.split(" ")))


@requirement("S-292", "C-186")
@pytest.mark.parametrize(
    "scope",
    [None, "", " ", "a  b", " a", "a ", "a\tb", 'a"b', "a\\b", "ä", ["a"], 7, {}, True, "a" * 129, " ".join("a" * 65)],
    ids=lambda scope: repr(scope)[:20],
)
def test_a_malformed_scope_is_not_read_as_none(scope: object) -> None:
    with pytest.raises(RefusedAssertion, match="scope "):
        granted(scope=scope)


@requirement("S-291")
def test_the_resources_of_an_id_jag_are_a_string_or_a_list() -> None:
    assert granted(resource="https://as.test/api").resource == ("https://as.test/api",)
    assert granted(resource=["b", "a", "b"]).resource == ("b", "a", "b")
    assert granted(resource=["x" * 2048]).resource == ("x" * 2048,)


@requirement("S-291", "C-184")
@pytest.mark.parametrize(
    "resource",
    [None, "", [], [""], ["a", ""], ["a", None], [["a"]], 7, True, {}, {"a": "a"}, "x" * 2049, ["a", "x" * 2049]],
    ids=lambda resource: str(resource)[:20],
)
def test_a_malformed_resource_is_not_read_as_none(resource: object) -> None:
    with pytest.raises(RefusedAssertion, match="resource "):
        granted(resource=resource)


# Whatever comes ---------------------------------------------------------------------------------------------------

NAMES = [*ID_JAG, "nbf", "scope", "resource", "cnf"]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
    max_leaves=4,
)


@requirement("S-227", "S-282", "A-165", "S-466")
@given(st.sampled_from(NAMES), VALUES, st.booleans())
def test_any_claims_are_accepted_or_refused_without_being_repeated(name: str, value: Any, grant: bool) -> None:
    marked = "canary" + value if isinstance(value, str) else value
    _, refused = attempt(RefusedAssertion, lambda: (granted if grant else authenticated)(**{name: marked}))
    assert refused is None or "canary" not in refused.reason


PIECES = st.sampled_from([H, C, S, ".", "=", "e30", "bnVsbA", "-", "_", "A", " ", "\u0430"])


@requirement("S-220", "A-087")
@given(st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=8).map("".join)))
def test_any_text_is_read_or_malformed(text: str) -> None:
    parsed, error = attempt(RefusedAssertion, lambda: parse_assertion(text))
    assert error is None or type(error) is MalformedAssertion
    assert parsed is None or (isinstance(parsed, ParsedAssertion) and text.count(".") == 2)
