"""Client metadata (RFC 7591 section 2): what a client that registers itself is registered with."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from tests.properties import request_grammar, uri_grammar
from tests.properties.scanning import ALPHA, DIGIT

LINKS = ("client_uri", "logo_uri", "tos_uri", "policy_uri")
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
GRANT_TYPES = ("authorization_code", "refresh_token")
CONFIDENTIAL_GRANT_TYPES = (
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
)
SECRET_KEY_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
NO_INK = "\u115f\u1160\u2800\u3164\uffa0"

Document = dict[str, Any]


class _Unacceptable(Exception):
    """The document is not to be registered."""


def registered(document: Document, *, scopes: tuple[str, ...], schemes: frozenset[str]) -> Document | None:
    """The members that are registered, by their names, those without a value left out; None if it is refused.

    `scopes` are those of the server, `schemes` the private-use schemes without a dot that it knows. It is one with
    every grant type.
    """
    try:
        return {
            name: value for name, value in _members(document, scopes, schemes).items() if value not in (None, "", [])
        }
    except _Unacceptable:
        return None


def _members(document: Document, scopes: tuple[str, ...], schemes: frozenset[str]) -> Document:
    keys = _keys(document)
    method = _method(document, has_keys=bool(keys))
    grant_types = _strings(document, "grant_types", ["authorization_code"])
    offered = GRANT_TYPES + (() if method == "none" else CONFIDENTIAL_GRANT_TYPES)
    _require("authorization_code" in grant_types)
    _require("code" in _strings(document, "response_types", ["code"]))
    uris = document.get("redirect_uris")
    if not isinstance(uris, list) or not 1 <= len(uris) <= 20:
        raise _Unacceptable
    _require(all(isinstance(uri, str) and uri_grammar.redirect_uri(uri, schemes) for uri in uris))
    return {
        "redirect_uris": _once(uris),
        "grant_types": [value for value in _once(grant_types) if value in offered],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
        "scope": _scope(document, scopes),
        **keys,
        **({"token_endpoint_auth_signing_alg": _algorithm(document)} if method == "private_key_jwt" else {}),
        **_shown(document),
    }


def _method(document: Document, *, has_keys: bool) -> str:
    """The client's own choice if the server has it; otherwise the first of its other choices, in the server's order."""
    algorithm = _text(document, "token_endpoint_auth_signing_alg", None)
    algorithms = _strings(document, "token_endpoint_auth_signing_alg_values_supported", None)
    _require(algorithm is None or algorithms is None or algorithm in algorithms)
    wanted = _text(document, "token_endpoint_auth_method", None)
    choices = _strings(document, "token_endpoint_auth_methods_supported", None)
    _require(wanted is None or choices is None or wanted in choices)
    if wanted in METHODS or choices is None:
        choices = [wanted or ("client_secret_basic" if wanted is None else "")]
    possible = [method for method in METHODS if method in choices and (has_keys or method != "private_key_jwt")]
    _require(bool(possible))
    return possible[0]


def _algorithm(document: Document) -> str | None:
    algorithm = document.get("token_endpoint_auth_signing_alg")
    _require(algorithm is None or algorithm in ALGORITHMS)
    return algorithm


def _keys(document: Document) -> Document:
    """A JWK Set of at most 20 public keys, or its https URL, not both (RFC 7591 section 2, RFC 7517 section 5)."""
    if "jwks_uri" in document:
        _require("jwks" not in document and _is_https(document["jwks_uri"]))
        return {"jwks_uri": document["jwks_uri"]}
    if "jwks" not in document:
        return {}
    keys = document["jwks"].get("keys") if isinstance(document["jwks"], dict) else None
    _require(isinstance(keys, list) and len(keys) <= 20)
    for key in keys or ():
        _require(
            isinstance(key, dict) and key.get("kty") != "oct" and not any(name in key for name in SECRET_KEY_MEMBERS)
        )
    _require(len(json.dumps(keys)) <= 16_384)
    return {"jwks": {"keys": keys}}


def _scope(document: Document, scopes: tuple[str, ...]) -> str | None:
    """Of the scopes that the client wants, those that the server has; at least one, unless it wants none."""
    text = document.get("scope", "")
    _require(isinstance(text, str))
    wanted = request_grammar.scope(text) if text else ()
    _require(wanted is not None)
    named = [scope for scope in wanted or () if scope != "offline_access"]
    known = [scope for scope in named if scope in scopes]
    _require(bool(known) or not named)
    return " ".join(known)


def _shown(document: Document) -> Document:
    """The members for people: what can be seen, and https links; translations with them (section 2.2)."""
    shown: Document = {}
    translations = 0
    for member, value in document.items():
        name, sign, tag = member.partition("#")
        if (sign and not _is_language_tag(tag)) or name not in ("client_name", *LINKS):
            continue
        shown[member] = _name(value) if name == "client_name" else _link(value)
        translations += bool(sign and shown[member])
    _require(translations <= 32)
    for name in ("software_id", "software_version"):
        shown[name] = _visible(document.get(name, ""), 255)
    kind = _visible(document.get("application_type", ""), 255)
    shown["application_type"] = kind if kind in ("native", "web") else None
    contacts = _strings(document, "contacts", [])
    _require(len(contacts) <= 10)
    shown["contacts"] = [_visible(contact, 255) for contact in contacts if contact]
    return shown


def _name(value: Any) -> str | None:
    text = _visible(value, 100)
    return text if text.strip() and any(not c.isspace() and c not in NO_INK for c in text) else None


def _link(value: Any) -> str:
    _require(value == "" or _is_https(value))
    return str(value)


def _visible(value: Any, most: int) -> str:
    _require(isinstance(value, str) and len(value) <= most)
    _require(all(unicodedata.category(character) not in INVISIBLE for character in value))
    return str(value)


def _is_language_tag(tag: str) -> bool:
    """One to eight subtags of one to eight letters and digits (RFC 5646 section 2.1, loosely)."""
    subtags = tag.split("-")
    return len(subtags) <= 8 and all(1 <= len(s) <= 8 and set(s) <= ALPHA | DIGIT for s in subtags)


def _is_https(value: Any) -> bool:
    url = uri_grammar.http_url(value) if isinstance(value, str) else None
    return url is not None and url.scheme.lower() == "https"


def _text(document: Document, name: str, default: str | None) -> str | None:
    value = document.get(name, default)
    _require(name not in document or isinstance(value, str))
    return value


def _strings(document: Document, name: str, default: Any) -> Any:
    if name not in document:
        return default
    value = document[name]
    _require(isinstance(value, list) and len(value) <= 32 and all(isinstance(item, str) for item in value))
    return value


def _once(values: list[str]) -> list[str]:
    return [value for at, value in enumerate(values) if value not in values[:at]]


def _require(holds: bool) -> None:
    if not holds:
        raise _Unacceptable
