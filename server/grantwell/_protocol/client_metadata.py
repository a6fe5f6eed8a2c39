"""Client metadata (RFC 7591): what a client asks to be, turned into what it may be, and back into a document.

One set of rules for clients that register themselves, that an operator creates, and that publish a document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config import Settings
from ..errors import ClientMetadataError, OAuthError
from ..records import AuthMethod, Client
from .display_members import client_name, display_members, https_url, strings
from .redirects import check_redirect_uri
from .scopes import format_scope, parse_scope

MAX_REDIRECT_URIS = 20
MAX_VALUES = 32
MAX_KEYS = 20

_GRANT_TYPES = ("authorization_code", "refresh_token")
_RESPONSE_TYPES = ("code",)
# In the order in which the server chooses, where the client leaves it the choice.
_AUTH_METHODS: tuple[AuthMethod, ...] = ("client_secret_basic", "client_secret_post", "none")
_PRIVATE_KEY_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMetadata:
    """Metadata that may be registered. `scopes` None means no limit; `metadata` are the members for people."""

    name: str | None
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    response_types: tuple[str, ...]
    token_endpoint_auth_method: AuthMethod
    scopes: tuple[str, ...] | None
    metadata: dict[str, Any]


def parse_client_metadata(document: Mapping[str, Any], settings: Settings) -> ClientMetadata:
    """What the document asks for, as far as this server has it. Raises ClientMetadataError (RFC 7591 section 3.2.2).

    Grant types, response types and scopes are narrowed to those the server has (section 3.2.1), never widened; it is
    an error if nothing useful is left. Unknown members are dropped, `software_statement` and key material with them.
    """
    redirect_uris = _redirect_uris(document, settings)
    grant_types = _narrowed(document, "grant_types", _GRANT_TYPES)
    response_types = _narrowed(document, "response_types", _RESPONSE_TYPES)
    method = _auth_method(document)
    _check_keys(document)
    return ClientMetadata(
        name=client_name(document),
        redirect_uris=redirect_uris,
        grant_types=grant_types,
        response_types=response_types,
        token_endpoint_auth_method=method,
        scopes=_scopes(document, settings),
        metadata=display_members(document),
    )


def client_document(client: Client) -> dict[str, Any]:
    """What is registered, in the spelling of RFC 7591 section 3.2.1, without secrets and without empty members."""
    registered = {
        "client_id": client.client_id,
        "client_id_issued_at": client.created_at,
        "client_name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "grant_types": list(client.grant_types),
        "response_types": list(client.response_types),
        "token_endpoint_auth_method": client.token_endpoint_auth_method,
        "scope": format_scope(client.scopes or ()),
    }
    document = registered | dict(client.metadata) | registered  # nothing among the display members may replace these
    return {name: value for name, value in document.items() if value not in (None, "", [])}


def _redirect_uris(document: Mapping[str, Any], settings: Settings) -> tuple[str, ...]:
    uris = document.get("redirect_uris")
    if not isinstance(uris, list | tuple) or not uris:
        raise ClientMetadataError("redirect_uris must be an array of at least one URI.", code="invalid_redirect_uri")
    if len(uris) > MAX_REDIRECT_URIS:
        raise ClientMetadataError(
            f"redirect_uris must have no more than {MAX_REDIRECT_URIS} values.", code="invalid_redirect_uri"
        )
    return tuple(dict.fromkeys(check_redirect_uri(uri, settings.private_use_schemes) for uri in uris))


def _narrowed(document: Mapping[str, Any], name: str, supported: tuple[str, ...]) -> tuple[str, ...]:
    # The first supported value is RFC 7591's default, and the one without which the others are of no use: the code
    # flow is all there is, so `authorization_code` and `code` are always registered together (section 2.1).
    indispensable = supported[0]
    wanted = strings(name, document.get(name, [indispensable]), MAX_VALUES)
    if indispensable not in wanted:
        raise ClientMetadataError(f"{name} must include {indispensable}.")
    return tuple(value for value in dict.fromkeys(wanted) if value in supported)


def _auth_method(document: Mapping[str, Any]) -> AuthMethod:
    name, choices_name = "token_endpoint_auth_method", "token_endpoint_auth_methods_supported"
    _check_signing_algorithm(document)
    choices = strings(choices_name, document[choices_name], MAX_VALUES) if choices_name in document else None
    preferred = document.get(name)
    if name in document:
        if not isinstance(preferred, str):
            raise ClientMetadataError(f"{name} must be a string.")
        if choices is not None and preferred not in choices:
            raise ClientMetadataError(f"{name} must be one of {choices_name}.")
        choices = [preferred] if choices is None or preferred in _AUTH_METHODS else choices
    elif choices is None:
        choices = ["client_secret_basic"]
    for method in _AUTH_METHODS:
        if method in choices:
            return method
    raise ClientMetadataError(f"{name} must be one of {', '.join(_AUTH_METHODS)}.")


def _check_signing_algorithm(document: Mapping[str, Any]) -> None:
    name, choices_name = "token_endpoint_auth_signing_alg", "token_endpoint_auth_signing_alg_values_supported"
    algorithm = document.get(name, "")
    if not isinstance(algorithm, str):
        raise ClientMetadataError(f"{name} must be a string.")
    choices = strings(choices_name, document.get(choices_name, [algorithm]), MAX_VALUES)
    if name in document and algorithm not in choices:
        raise ClientMetadataError(f"{name} must be one of {choices_name}.")


def _check_keys(document: Mapping[str, Any]) -> None:
    if "jwks" in document and "jwks_uri" in document:
        raise ClientMetadataError("jwks and jwks_uri must not be used together.")
    if "jwks_uri" in document:
        https_url("jwks_uri", document["jwks_uri"])
    if "jwks" not in document:
        return
    jwks = document["jwks"]
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or len(keys) > MAX_KEYS or not all(isinstance(key, dict) for key in keys):
        raise ClientMetadataError(f"jwks must be a JWK Set of no more than {MAX_KEYS} keys.")
    if any(key.get("kty") == "oct" or _PRIVATE_KEY_MEMBERS & key.keys() for key in keys):
        raise ClientMetadataError("jwks must have public keys only.")


def _scopes(document: Mapping[str, Any], settings: Settings) -> tuple[str, ...] | None:
    text = document.get("scope", "")
    if not isinstance(text, str):
        raise ClientMetadataError("scope must be a string.")
    if text == "":
        return None
    try:
        # Whether refresh tokens are issued is a matter of grant_types, so this one limits nothing.
        wanted = [scope for scope in parse_scope(text) if scope != "offline_access"]
    except OAuthError as error:
        raise ClientMetadataError("scope must be at most 64 scopes between single spaces.") from error
    if not wanted:
        return None
    offered = settings.scopes
    known = tuple(scope for scope in wanted if scope in offered)
    if offered and not known:
        raise ClientMetadataError("scope names no scope of this server.")
    return known
