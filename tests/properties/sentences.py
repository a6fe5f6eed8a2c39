"""Generators of what the grammars describe: a sentence in bytes, with what it means, put together from its parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from grantwell.config import KNOWN_PRIVATE_USE_SCHEMES
from tests.properties import metadata_grammar, request_grammar
from tests.properties.parsers import FORM, IDENTIFIERS, JsonValue
from tests.properties.request_grammar import base64_of, base64url
from tests.properties.scanning import ALPHA, DIGIT, VCHAR

Sentence = tuple[bytes, object]
Draw = st.DrawFn

_UNRESERVED = sorted(ALPHA | DIGIT | set("-._~"))
_PCHAR = [*_UNRESERVED, *"!$&'()+,;=:@", "%20", "%C3%BC", "%7e", "%5B"]
_ALNUM = sorted(ALPHA | DIGIT)
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters=[*map(chr, range(0x20)), "\x7f"]), max_size=12)


def _word(alphabet: Sequence[str], least: int, most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(alphabet), min_size=least, max_size=most).map("".join)


def _any_case(text: str) -> st.SearchStrategy[str]:
    return st.lists(st.booleans(), min_size=len(text), max_size=len(text)).map(
        lambda upper: "".join(c.upper() if up else c.lower() for c, up in zip(text, upper, strict=True))
    )


# ── URLs ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_PORTS = st.none() | st.integers(1, 65535) | st.sampled_from([80, 443])
_QUERIES = _word([*_PCHAR, "/", "?"], 0, 8)
_OCTETS = st.integers(0, 255)
_IPV4 = st.tuples(_OCTETS, _OCTETS, _OCTETS, _OCTETS).map(lambda octets: ".".join(map(str, octets)))


@st.composite
def _ipv6(draw: Draw) -> str:
    groups = draw(st.lists(_word("0123456789abcdefABCDEF", 1, 4), min_size=8, max_size=8))
    if draw(st.booleans()):
        groups[6:] = [draw(_IPV4)]
    if draw(st.booleans()):
        begin = draw(st.integers(0, len(groups) - 1))
        end = draw(st.integers(begin + 1, len(groups)))
        return f"[{':'.join(groups[:begin])}::{':'.join(groups[end:])}]"
    return f"[{':'.join(groups)}]"


@st.composite
def _names(draw: Draw) -> str:
    labels = draw(st.lists(_word([*_ALNUM, "-", "_"], 1, 12), min_size=1, max_size=4))
    # A letter that no hexadecimal number has at the end, so that it is no IPv4 address, and a letter at the begin.
    return "c" + ".".join(labels) + "z"


_PATHS = st.lists(_word(_PCHAR, 0, 5).map(lambda segment: f"/{segment}"), max_size=4).map("".join)
# No segment of these can be one of dots, whatever its escapes mean.
_PLAIN_PATHS = st.lists(_word(_PCHAR, 0, 5).map(lambda segment: f"/x{segment}"), max_size=4).map("".join)


@st.composite
def _urls(draw: Draw) -> Sentence:
    scheme = draw(st.sampled_from(["http", "https"]).flatmap(_any_case))
    host, port = draw(_names() | _IPV4 | _ipv6()), draw(_PORTS)
    path, query, fragment = draw(_PATHS), draw(st.none() | _QUERIES), draw(st.none() | _QUERIES)
    text = f"{scheme}://{host}" + ("" if port is None else f":{port}") + _tail(path, query, fragment)
    default = port in (None, {"http": 80, "https": 443}[scheme.lower()])
    origin = f"{scheme}://{host}".lower() + ("" if default else f":{port}")
    return text.encode(), (scheme, host, port, path, query, fragment, origin)


def _tail(path: str, query: str | None, fragment: str | None = None) -> str:
    return path + ("" if query is None else f"?{query}") + ("" if fragment is None else f"#{fragment}")


@st.composite
def _client_id_urls(draw: Draw) -> Sentence:
    host = draw(_names() | _IPV4 | _ipv6()).lower()
    port = draw(_PORTS.filter(lambda port: port != 443))
    path, query = f"/c{draw(_PLAIN_PATHS)}", draw(st.none() | _QUERIES)
    origin = f"https://{host}" + ("" if port is None else f":{port}")
    return (origin + _tail(path, query)).encode(), ("https", host, port, path, query, None, origin)


@st.composite
def _redirect_uris(draw: Draw) -> Sentence:
    port = draw(st.none() | st.integers(1, 65535))
    # `x` in front of each name: it is none of an answer.
    query = draw(st.none() | _word([*_UNRESERVED, "%26", "/", "?", "=", "=code"], 0, 6).map(lambda q: f"x{q}"))
    rest = ("" if port is None else f":{port}") + _tail(draw(_PLAIN_PATHS), query)
    match draw(st.sampled_from(["https", "loopback", "domain", "listed"])):
        case "https":
            text = f"https://{draw(_names() | _IPV4 | _ipv6())}{rest}"
        case "loopback":
            text = f"http://{draw(st.sampled_from(['127.0.0.1', '[::1]', 'localhost']))}{rest}"
        case "domain":
            labels = draw(st.lists(_word("abcxyz019-", 1, 6), min_size=1, max_size=4))
            text = f"a{'.'.join(['b', *labels])}://{draw(_word(_ALNUM, 0, 6))}{rest}"
        case _:
            scheme = draw(st.sampled_from([*KNOWN_PRIVATE_USE_SCHEMES, "com.example.app"]))
            text = f"{scheme}:/{_tail(draw(_PLAIN_PATHS).removeprefix('/'), query)}"
    return text.encode(), text


@st.composite
def _matches(draw: Draw) -> Sentence:
    """A presented URI, a line feed, and the registered ones, one of which it matches."""
    others = [text.decode() for text, _ in draw(st.lists(_redirect_uris(), max_size=3))]
    if draw(st.booleans()):
        presented = registered = str(draw(_redirect_uris())[1])
    else:
        host = draw(st.sampled_from(["127.0.0.1", "[::1]", "localhost"]))
        tail = _tail(draw(_PATHS), draw(st.none() | _QUERIES))
        presented, registered = (
            f"http://{host}{'' if port is None else f':{port}'}{tail}" for port in draw(st.tuples(_PORTS, _PORTS))
        )
    registered_ones = draw(st.permutations([*others, registered]))
    return "\n".join([presented, *registered_ones]).encode(), True


@st.composite
def _resources(draw: Draw) -> Sentence:
    identifier = draw(st.sampled_from(IDENTIFIERS))
    path = identifier.removeprefix("https://as.test")
    if draw(st.booleans()):
        return identifier.encode(), identifier
    slash = draw(st.sampled_from(["", "/"])) if path == "" else ""
    port = draw(st.sampled_from(["", ":443"]))
    return f"{draw(_any_case('https'))}://{draw(_any_case('as.test'))}{port}{path}{slash}".encode(), identifier


# ── forms, credentials, scopes, proofs, tokens ─────────────────────────────────────────────────────────────────────


@st.composite
def _encoded(draw: Draw, text: str, plain: frozenset[str]) -> bytes:
    """The text form-encoded; what is in `plain` may stand for itself."""
    pieces = []
    for byte in text.encode():
        if byte == 0x20 and draw(st.booleans()):
            pieces.append(b"+")
        elif chr(byte) in plain and draw(st.integers(0, 3)):
            pieces.append(bytes([byte]))
        else:
            pieces.append(draw(st.sampled_from([b"%%%02X", b"%%%02x"])) % byte)
    return b"".join(pieces)


_PLAIN = (VCHAR | {" "}) - set("%&+=")


@st.composite
def _forms(draw: Draw) -> Sentence:
    fields = draw(st.lists(st.tuples(st.sampled_from(["a", "resource", "ü", ""]) | _TEXT, _TEXT), max_size=8))
    pieces = []
    for name, value in fields:
        equals = b"=" if value or not name else draw(st.sampled_from([b"=", b""]))
        pieces.append(draw(_encoded(name, _PLAIN)) + equals + draw(_encoded(value, _PLAIN | {"="})))
        pieces.extend([b""] * draw(st.sampled_from([0, 0, 0, 1])))
    order = list(dict.fromkeys(name for name, _ in fields))
    return b"&".join(pieces), tuple(field for wanted in order for field in fields if field[0] == wanted)


@st.composite
def _basics(draw: Draw) -> Sentence:
    halves = draw(st.tuples(_TEXT.filter(bool), _TEXT.filter(bool)))
    encoded = [draw(_encoded(half, _PLAIN - {":"} | {"&", "="})) for half in halves]
    header = f"{draw(_any_case('basic'))}{' ' * draw(st.integers(1, 3))}{base64_of(b':'.join(encoded))}"
    return header.encode(), halves


@st.composite
def _bearers(draw: Draw) -> Sentence:
    """A query, a line feed, and the Authorization headers."""
    query = draw(_word(["a", "=", "&", "access_token", "access%5ftoken&", "b=access_token="], 0, 4)).encode()
    kind = draw(st.sampled_from(["none", "other", "bearer"]))
    if kind == "none":
        return query, ""
    if kind == "other":
        header = draw(st.sampled_from(["", "Basic czpz", "BearerToken x", "DPoP abc", "Bear er x", " Bearer x"]))
        return query + b"\n" + header.encode() if header else query, ""
    token = draw(_word([*_UNRESERVED, "+", "/"], 1, 40)) + "=" * draw(st.integers(0, 3))
    header = f"{draw(_any_case('bearer'))}{' ' * draw(st.integers(1, 3))}{token}"
    return draw(st.sampled_from([b"", b"a=1", b"access_token="])) + b"\n" + header.encode(), token


@st.composite
def _scopes(draw: Draw) -> Sentence:
    characters = sorted(VCHAR - set('"\\'))
    tokens = draw(st.lists(_word(characters, 1, 10) | st.sampled_from(["read", "write"]), min_size=1, max_size=8))
    return " ".join(tokens).encode(), tuple(dict.fromkeys(tokens))


@st.composite
def _challenges(draw: Draw) -> Sentence:
    challenge = base64url(draw(st.binary(min_size=32, max_size=32)))
    return f"{challenge}\nS256".encode(), challenge


_VERIFIERS = _word(_UNRESERVED, 43, 128)


@st.composite
def _proofs(draw: Draw) -> Sentence:
    verifier = draw(_VERIFIERS)
    return f"{verifier}\n{request_grammar.s256(verifier)}".encode(), True


@st.composite
def _tokens(draw: Draw) -> Sentence:
    prefix, kind = draw(st.sampled_from(sorted(request_grammar.TOKENS.items())))
    grant_id, family = "", b""
    if kind in request_grammar.OF_A_GRANT:
        grant_id = base64url(draw(st.binary(min_size=12, max_size=12)))
    if kind == "refresh":
        family = draw(st.binary(min_size=16, max_size=16))
    secret = draw(st.binary(min_size=32, max_size=32))
    text = request_grammar.with_checksum(prefix + grant_id + base64url(family) + base64url(secret))
    return text.encode(), (kind, grant_id, family, text)


@st.composite
def _media_types(draw: Draw) -> Sentence:
    blanks = _word(" \t", 0, 2)
    charset = draw(st.sampled_from(["charset=utf-8", 'charset="utf-8"']).flatmap(_any_case))
    parameter = f"{draw(blanks)};{draw(blanks)}{charset}" if draw(st.booleans()) else ""
    return f"{draw(_any_case(FORM))}{parameter}".encode(), True


# ── JSON ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_STRINGS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _STRINGS
)


def _values(depth: int) -> st.SearchStrategy[Any]:
    if depth == 0:
        return _SCALARS
    inner = st.deferred(lambda: _values(depth - 1))
    return _SCALARS | st.lists(inner, max_size=3) | st.dictionaries(_STRINGS, inner, max_size=3)


@st.composite
def _json_objects(draw: Draw) -> Sentence:
    document = draw(st.dictionaries(_STRINGS, _values(draw(st.integers(0, 7))), max_size=4))
    text = json.dumps(
        document,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, 1, "\t"])),
        separators=draw(st.sampled_from([(",", ":"), (", ", " : ")])),
    )
    return draw(st.sampled_from(["", " ", "\r\n"])).encode() + text.encode(), JsonValue(document)


@st.composite
def _assertions(draw: Draw) -> Sentence:
    names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
    header = {"alg": draw(names)} | draw(st.fixed_dictionaries({}, optional={"kid": names, "typ": names}))
    header |= draw(st.dictionaries(st.sampled_from(["jwk", "jku", "x5c", "B64"]), _values(2), max_size=2))
    claims = draw(st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp"]) | _STRINGS, _values(2), max_size=4))
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), draw(st.binary(min_size=1, max_size=64))]
    text = ".".join(map(base64url, parts))
    return text.encode(), (JsonValue([header, claims]), text)


# ── client metadata ────────────────────────────────────────────────────────────────────────────────────────────────

_VISIBLE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Co", "Zl", "Zp")), max_size=12)
_LINKS = _urls().map(lambda sentence: f"https:{sentence[0].decode().partition(':')[2]}")
_KEYS = st.fixed_dictionaries({"kty": st.sampled_from(["EC", "RSA", "OKP"])}, optional={"kid": _STRINGS, "n": _STRINGS})
_UNKNOWN = st.dictionaries(st.sampled_from(["software_statement", "client_id", "x", "client_name#", "#de"]), _values(2))


@st.composite
def _metadata(draw: Draw) -> Sentence:
    """A document put together from members that are kept as they are, and some that are dropped."""
    uris = draw(st.lists(_redirect_uris().map(lambda sentence: sentence[1]), min_size=1, max_size=3, unique=True))
    grants = draw(st.permutations(["authorization_code", *draw(st.lists(st.just("refresh_token"), max_size=1))]))
    keys = draw(st.sampled_from(["none", "jwks", "jwks_uri"]))
    methods = [m for m in metadata_grammar.METHODS if keys != "none" or m != "private_key_jwt"]
    kept: dict[str, Any] = {
        "redirect_uris": uris,
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": draw(st.sampled_from(methods)),
    }
    if keys == "jwks":
        kept["jwks"] = {"keys": draw(st.lists(_KEYS, max_size=2))}
    elif keys == "jwks_uri":
        kept["jwks_uri"] = draw(_LINKS)
    if kept["token_endpoint_auth_method"] == "private_key_jwt" and draw(st.booleans()):
        kept["token_endpoint_auth_signing_alg"] = draw(st.sampled_from(metadata_grammar.ALGORITHMS))
    names = st.sampled_from(["client_name", "client_name#de", "client_name#zh-Hant-TW"])
    links = st.sampled_from([*metadata_grammar.LINKS, "tos_uri#fr"])
    kept |= draw(st.dictionaries(names, _VISIBLE.map(lambda name: f"A{name}"), max_size=2))
    kept |= draw(st.dictionaries(links, _LINKS, max_size=2))
    kept |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "scope": st.sampled_from(["read", "write read", "all"]),
                "application_type": st.sampled_from(["native", "web"]),
                "contacts": st.lists(_VISIBLE.filter(bool), min_size=1, max_size=3),
                "software_id": _VISIBLE.filter(bool),
                "software_version": _VISIBLE.filter(bool),
            },
        )
    )
    sent = dict(draw(st.permutations(list((draw(_UNKNOWN) | kept).items()))))
    if draw(st.booleans()):
        sent["grant_types"] = [*grants, *draw(st.sampled_from([["implicit"], ["client_credentials"], grants]))]
        sent["redirect_uris"] = [*uris, uris[0]]
    return json.dumps(sent).encode(), JsonValue(dict(sorted(kept.items())))


SENTENCES: dict[str, Callable[[], st.SearchStrategy[Sentence]]] = {
    "url": _urls,
    "client-id-url": _client_id_urls,
    "redirect-uri": _redirect_uris,
    "redirect-match": _matches,
    "resource": _resources,
    "form": _forms,
    "basic": _basics,
    "bearer": _bearers,
    "scope": _scopes,
    "code-challenge": _challenges,
    "code-verifier": lambda: _VERIFIERS.map(lambda verifier: (verifier.encode(), verifier)),
    "proof": _proofs,
    "token": _tokens,
    "media-type": _media_types,
    "json": _json_objects,
    "metadata": _metadata,
    "assertion": _assertions,
}
"""By the name of the parser, the sentences that it must read, each with what it must make of it."""
