"""Every pure parser of the server beside the grammar of what it reads: two opinions on the same bytes.

`PARSERS` is what the properties and the fuzzer go through. Both sides take bytes, so that one input serves all; where
a parser takes several texts, a line feed separates them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grantwell._protocol.assertions import MalformedAssertion, parse_assertion
from grantwell._protocol.challenges import bearer_credential
from grantwell._protocol.client_auth import presented_client
from grantwell._protocol.client_id_urls import check_client_id_url
from grantwell._protocol.client_metadata import MAX_REDIRECT_URIS, parse_client_metadata
from grantwell._protocol.forms import parse_parameters
from grantwell._protocol.json_documents import parse_object
from grantwell._protocol.media_types import reads_as
from grantwell._protocol.pkce import check_challenge, check_verifier, verifier_fits
from grantwell._protocol.redirects import check_redirect_uri, matching_redirect_uri
from grantwell._protocol.resources import parse_resource
from grantwell._protocol.scopes import parse_scope
from grantwell._protocol.tokens import parse_token
from grantwell._urls import parse_http_url
from grantwell.config import KNOWN_PRIVATE_USE_SCHEMES, Resource, configure
from grantwell.errors import ClientMetadataError, OAuthError
from tests.properties import json_grammar, metadata_grammar, request_grammar, uri_grammar
from tests.properties.scanning import Read, Refused, Verdict

FORM = "application/x-www-form-urlencoded"
SCHEMES = frozenset(KNOWN_PRIVATE_USE_SCHEMES)
SETTINGS = configure(
    issuer="https://as.test",
    prefixes=["/api", "/Other", "/"],
    resources={
        "/api": Resource(scopes={"read": "See", "write": "Change"}),
        "/": Resource(scopes={"all": "Everything"}, identifier="https://as.test"),
    },
    allow_token_exchange=True,
    trusts_issuers=True,
)
IDENTIFIERS = tuple(resource.identifier for resource in SETTINGS.resources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parser:
    """A parser of the server and the grammar of what it reads; both give what they read, or None.

    `refusal` is the code of the one error that the parser may raise, "" where it raises none or has no code.
    `spelled` writes down again what was read.
    """

    name: str
    server: Callable[[bytes], object]
    grammar: Callable[[bytes], object]
    refusal: str = ""
    spelled: Callable[[Any], bytes] | None = None

    def verdict(self, data: bytes) -> Verdict:
        """What the server says. Every error but an OAuthError goes through: none is documented."""
        try:
            return self._as_verdict(self.server(data))
        except OAuthError as error:
            return Refused(error.code)

    def expected(self, data: bytes) -> Verdict:
        """What the grammar says."""
        return self._as_verdict(self.grammar(data))

    def complaint(self, data: bytes) -> str | None:
        """What is wrong with the server's reading of these bytes, in one line; None if nothing is."""
        verdict, expected = self.verdict(data), self.expected(data)
        if verdict != expected:
            return f"{self.name} reads {data!r} as {verdict}, which by the grammar is {expected}"
        if isinstance(verdict, Read) and self.spelled is not None:
            again = self.spelled(verdict.value)
            if self.verdict(again) != verdict:
                return f"{self.name} reads {data!r} as {verdict}, but {again!r} as {self.verdict(again)}"
        return None

    def _as_verdict(self, value: object) -> Verdict:
        if isinstance(value, Refused):
            return value
        return Refused(self.refusal) if value is None else Read(value)


class JsonValue:
    """A JSON value that is equal to another only if types and signs are, too: 1, 1.0 and True are three values."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonValue) and repr(self.value) == repr(other.value)

    def __hash__(self) -> int:
        return hash(repr(self.value))

    def __repr__(self) -> str:
        return repr(self.value)


def text_of(data: bytes) -> str:
    """Any bytes as text, those that are not UTF-8 as halves of surrogate pairs."""
    return data.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """The other way round."""
    return text.encode("utf-8", "surrogateescape")


def _lines(data: bytes) -> tuple[str, str]:
    first, _, second = text_of(data).partition("\n")
    return first, second


def _url(data: bytes) -> object:
    url = parse_http_url(text_of(data))
    return url and (url.scheme, url.host, url.port, url.path, url.query, url.fragment, url.origin)


def _url_by_grammar(data: bytes) -> object:
    url = uri_grammar.http_url(text_of(data))
    return url and (url.scheme, url.host, url.port, url.path, url.query, url.fragment, url.origin)


def _url_spelled(parts: tuple[str, str, int | None, str, str | None, str | None, str]) -> bytes:
    scheme, host, port, path, query, fragment, _ = parts
    authority = host if port is None else f"{host}:{port}"
    ends = [f"{sign}{part}" for sign, part in (("?", query), ("#", fragment)) if part is not None]
    return f"{scheme}://{authority}{path}{''.join(ends)}".encode()


def _client_id_url(data: bytes) -> object:
    try:
        url = check_client_id_url(text_of(data))
    except ValueError as error:
        return _only(ValueError, error)
    return url.scheme, url.host, url.port, url.path, url.query, url.fragment, url.origin


def _client_id_url_by_grammar(data: bytes) -> object:
    url = uri_grammar.client_id_url(text_of(data))
    return url and (url.scheme, url.host, url.port, url.path, url.query, url.fragment, url.origin)


def _only(documented: type[Exception], error: Exception) -> object:
    """The refusal of an error of exactly this type: one of a subclass was raised by something else, by accident."""
    if type(error) is not documented:
        raise TypeError(f"{type(error).__name__} instead of a plain {documented.__name__}") from error
    return None


def _matches(data: bytes) -> object:
    presented, *registered = text_of(data).split("\n")[: MAX_REDIRECT_URIS + 1]
    return matching_redirect_uri(registered, presented) or None


def _matches_by_grammar(data: bytes) -> object:
    presented, *registered = text_of(data).split("\n")[: MAX_REDIRECT_URIS + 1]
    return uri_grammar.matches(registered, presented) or None


def _redirect_by_grammar(data: bytes) -> object:
    return text_of(data) if uri_grammar.redirect_uri(text_of(data), SCHEMES) else None


def _basic(data: bytes) -> object:
    presented = presented_client([data], parse_parameters(b""))
    return presented.client_id, presented.secret


def _basic_spelled(credentials: tuple[str, str]) -> bytes:
    halves = (request_grammar.form_encoded([(half, "")])[:-1] for half in credentials)
    return b"Basic " + request_grammar.base64_of(b":".join(halves)).encode()


def _bearer(data: bytes) -> object:
    query, _, headers = data.partition(b"\n")
    return bearer_credential(headers.split(b"\n") if headers else [], query) or ""


def _bearer_by_grammar(data: bytes) -> object:
    query, _, headers = data.partition(b"\n")
    return request_grammar.bearer(headers.split(b"\n") if headers else [], query)


def _form(data: bytes) -> object:
    parameters = parse_parameters(data)
    return tuple((name, value) for name, values in parameters._values.items() for value in values)


def _json(data: bytes) -> object:
    try:
        return JsonValue(parse_object(data))
    except ValueError as error:
        return _only(ValueError, error)


def _json_by_grammar(data: bytes) -> object:
    document = json_grammar.json_object(data)
    return None if document is None else JsonValue(document)


def _assertion(data: bytes) -> object:
    try:
        parsed = parse_assertion(text_of(data))
    except MalformedAssertion as error:
        return _only(MalformedAssertion, error)
    return JsonValue([dict(parsed.header), dict(parsed.claims)]), parsed.text


def _assertion_by_grammar(data: bytes) -> object:
    read = request_grammar.assertion(text_of(data))
    return None if read is None else (JsonValue(list(read)), text_of(data))


def _metadata(data: bytes) -> object:
    document = json_grammar.json_object(data)
    if document is None:
        return None
    try:
        read = parse_client_metadata(document, SETTINGS)
    except ClientMetadataError as error:
        if error.code not in ("invalid_client_metadata", "invalid_redirect_uri"):
            raise
        # Which of two things that are wrong is found first is nobody's business.
        return None
    members = {
        "client_name": read.name,
        "redirect_uris": list(read.redirect_uris),
        "grant_types": list(read.grant_types),
        "response_types": list(read.response_types),
        "token_endpoint_auth_method": read.token_endpoint_auth_method,
        "scope": " ".join(read.scopes or ()),
        "jwks": read.jwks,
        "jwks_uri": read.jwks_uri,
        **read.metadata,
    }
    return _sorted({name: value for name, value in members.items() if value not in (None, "")})


def _metadata_by_grammar(data: bytes) -> object:
    document = json_grammar.json_object(data)
    registered = document and metadata_grammar.registered(document, scopes=tuple(SETTINGS.scopes), schemes=SCHEMES)
    return None if not registered else _sorted(registered)


def _sorted(members: dict[str, Any]) -> JsonValue:
    return JsonValue(dict(sorted(members.items())))


def _challenge(data: bytes) -> object:
    challenge, method = _lines(data)
    return check_challenge(challenge, method)


def _challenge_by_grammar(data: bytes) -> object:
    challenge, method = _lines(data)
    return challenge if request_grammar.code_challenge(challenge, method) else None


def _verifier_by_grammar(data: bytes) -> object:
    return text_of(data) if request_grammar.code_verifier(text_of(data)) else None


def _proof(data: bytes) -> object:
    return verifier_fits(*_lines(data)) or None


def _proof_by_grammar(data: bytes) -> object:
    verifier, challenge = _lines(data)
    return (request_grammar.code_verifier(verifier) and request_grammar.s256(verifier) == challenge) or None


def _token(data: bytes) -> object:
    token = parse_token(text_of(data))
    return token and (token.kind, token.grant_id, token.family, token.text)


def _token_by_grammar(data: bytes) -> object:
    token = request_grammar.token(text_of(data))
    return token and (token.kind, token.grant_id, token.family, text_of(data))


def _media_type(data: bytes) -> object:
    return reads_as(text_of(data), FORM) or None


def _media_type_by_grammar(data: bytes) -> object:
    return request_grammar.media_type(text_of(data), FORM) or None


def _text_last(parts: tuple[object, ...]) -> bytes:
    return bytes_of(str(parts[-1]))


PARSERS: tuple[Parser, ...] = (
    Parser(name="url", server=_url, grammar=_url_by_grammar, spelled=_url_spelled),
    Parser(name="client-id-url", server=_client_id_url, grammar=_client_id_url_by_grammar, spelled=_url_spelled),
    Parser(
        name="redirect-uri",
        server=lambda data: check_redirect_uri(text_of(data), SCHEMES),
        grammar=_redirect_by_grammar,
        refusal="invalid_redirect_uri",
        spelled=bytes_of,
    ),
    Parser(name="redirect-match", server=_matches, grammar=_matches_by_grammar),
    Parser(
        name="resource",
        server=lambda data: parse_resource(text_of(data), SETTINGS),
        grammar=lambda data: uri_grammar.resource(text_of(data), IDENTIFIERS),
        refusal="invalid_target",
        spelled=bytes_of,
    ),
    Parser(
        name="basic",
        server=_basic,
        grammar=request_grammar.basic,
        refusal="invalid_client",
        spelled=_basic_spelled,
    ),
    Parser(
        name="bearer",
        server=_bearer,
        grammar=_bearer_by_grammar,
        refusal="invalid_request",
        spelled=lambda token: b"\nBearer " + token.encode() if token else b"",
    ),
    Parser(
        name="form",
        server=_form,
        grammar=request_grammar.form,
        refusal="invalid_request",
        spelled=request_grammar.form_encoded,
    ),
    Parser(
        name="json",
        server=_json,
        grammar=_json_by_grammar,
        spelled=lambda document: json.dumps(document.value).encode(),
    ),
    Parser(
        name="metadata",
        server=_metadata,
        grammar=_metadata_by_grammar,
        spelled=lambda document: json.dumps(document.value).encode(),
    ),
    Parser(name="assertion", server=_assertion, grammar=_assertion_by_grammar, spelled=_text_last),
    Parser(
        name="scope",
        server=lambda data: parse_scope(text_of(data)),
        grammar=lambda data: request_grammar.scope(text_of(data)),
        refusal="invalid_scope",
        spelled=lambda scopes: " ".join(scopes).encode(),
    ),
    Parser(
        name="code-challenge",
        server=_challenge,
        grammar=_challenge_by_grammar,
        refusal="invalid_request",
        spelled=lambda challenge: f"{challenge}\nS256".encode(),
    ),
    Parser(
        name="code-verifier",
        server=lambda data: check_verifier(text_of(data)),
        grammar=_verifier_by_grammar,
        refusal="invalid_grant",
        spelled=bytes_of,
    ),
    Parser(name="proof", server=_proof, grammar=_proof_by_grammar),
    Parser(name="token", server=_token, grammar=_token_by_grammar, spelled=_text_last),
    Parser(name="media-type", server=_media_type, grammar=_media_type_by_grammar),
)
