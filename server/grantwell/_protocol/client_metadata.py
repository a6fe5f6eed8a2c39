"""Client metadata (RFC 7591): what a client asks to be, turned into what it may be, and back into a document.

One set of rules for clients that register themselves, that an operator creates, and that publish a document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._resources import is_resource_identifier
from ..config import (
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    JWT_BEARER,
    REFRESH_TOKEN,
    SIGNATURE_ALGORITHMS,
    TOKEN_EXCHANGE,
    Settings,
)
from ..errors import ClientMetadataError, OAuthError
from ..records import AuthMethod, Client, ClientOrigin
from .display_members import client_name, display_members, https_url, strings
from .redirects import check_redirect_uri
from .scopes import format_scope, parse_scope

MAX_REDIRECT_URIS = 20
MAX_VALUES = 32
MAX_KEYS = 20
MAX_JWKS_CHARACTERS = 16 * 1024

_RESPONSE_TYPES = ("code",)
# In the order in which the server chooses, where the client leaves it the choice.
_AUTH_METHODS: tuple[AuthMethod, ...] = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
_SECRET_MEMBERS = ("client_secret", "client_secret_expires_at")
_PRIVATE_KEY_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# What proves nothing about a person, or hands a person's rights on, takes a client that can prove who it is.
_CONFIDENTIAL_GRANT_TYPES = frozenset({CLIENT_CREDENTIALS, TOKEN_EXCHANGE, JWT_BEARER})


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
    jwks: dict[str, Any] | None
    jwks_uri: str | None
    introspects: tuple[str, ...]


def parse_client_metadata(
    document: Mapping[str, Any], settings: Settings, *, origin: ClientOrigin = "registration"
) -> ClientMetadata:
    """What the document asks for, as far as this server has it. Raises ClientMetadataError (RFC 7591 section 3.2.2).

    Grant types, response types and scopes are narrowed to those the server has (section 3.2.1), never widened; it is
    an error if nothing useful is left. Unknown members are dropped, `software_statement` with them. Only an operator's
    client may do without the code flow, act for itself, or introspect.
    """
    jwks = _jwks(document)
    jwks_uri = https_url("jwks_uri", document["jwks_uri"]) if "jwks_uri" in document else None
    if jwks is not None and jwks_uri is not None:
        raise ClientMetadataError("jwks and jwks_uri must not be used together.")
    method = _auth_method(document, origin, has_keys=jwks is not None or jwks_uri is not None)
    grant_types = _grant_types(document, settings, origin, method)
    return ClientMetadata(
        name=client_name(document),
        redirect_uris=_redirect_uris(document, settings, grant_types),
        grant_types=grant_types,
        response_types=_response_types(document, grant_types),
        token_endpoint_auth_method=method,
        scopes=_scopes(document, settings),
        metadata=display_members(document) | _signing_algorithm(document, method),
        jwks=jwks,
        jwks_uri=jwks_uri,
        introspects=_introspects(document, origin, method),
    )


def check_document_members(document: Mapping[str, Any], client_id: str) -> None:
    """Raises ClientMetadataError unless these are the members of the metadata document at this URL (CIMD section 4.1).

    The rest is as for every client.
    """
    if document.get("client_id") != client_id:
        raise ClientMetadataError("client_id must be the URL of the document, character by character.")
    if any(name in document for name in _SECRET_MEMBERS):
        raise ClientMetadataError("A metadata document must not have a client secret.")
    if client_name(document) is None:
        raise ClientMetadataError("client_name is missing.")


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
        "jwks": client.jwks,
        "jwks_uri": client.jwks_uri,
        "introspects": list(client.introspects),
    }
    document = registered | dict(client.metadata) | registered  # nothing among the display members may replace these
    # Where a member is left out its default holds (section 2), so that an empty list of grant types has to be said.
    kept_empty = ("grant_types", "response_types")
    return {name: value for name, value in document.items() if value not in (None, "", []) or name in kept_empty}


def _redirect_uris(document: Mapping[str, Any], settings: Settings, grant_types: tuple[str, ...]) -> tuple[str, ...]:
    uris = document.get("redirect_uris")
    if AUTHORIZATION_CODE not in grant_types and uris in (None, []):
        return ()
    if not isinstance(uris, list | tuple) or not uris:
        raise ClientMetadataError("redirect_uris must be an array of at least one URI.", code="invalid_redirect_uri")
    if len(uris) > MAX_REDIRECT_URIS:
        raise ClientMetadataError(
            f"redirect_uris must have no more than {MAX_REDIRECT_URIS} values.", code="invalid_redirect_uri"
        )
    return tuple(dict.fromkeys(check_redirect_uri(uri, settings.private_use_schemes) for uri in uris))


def _grant_types(
    document: Mapping[str, Any], settings: Settings, origin: ClientOrigin, method: AuthMethod
) -> tuple[str, ...]:
    wanted = strings("grant_types", document.get("grant_types", [AUTHORIZATION_CODE]), MAX_VALUES)
    kept = tuple(value for value in dict.fromkeys(wanted) if value in settings.grant_types)
    if origin != "operator":
        kept = tuple(value for value in kept if value != CLIENT_CREDENTIALS)
        if method == "none":
            kept = tuple(value for value in kept if value not in _CONFIDENTIAL_GRANT_TYPES)
        if AUTHORIZATION_CODE not in kept:
            raise ClientMetadataError(f"grant_types must include {AUTHORIZATION_CODE}.")
        return kept
    if unknown := [value for value in wanted if value not in kept]:
        raise ClientMetadataError(f"grant_types has a value that this server does not offer: {unknown[0]}.")
    if REFRESH_TOKEN in kept and AUTHORIZATION_CODE not in kept:
        raise ClientMetadataError(f"grant_types must include {AUTHORIZATION_CODE} beside {REFRESH_TOKEN}.")
    if _CONFIDENTIAL_GRANT_TYPES & set(kept) and (method == "none" or document.get("application_type") == "native"):
        raise ClientMetadataError("This grant type is for clients that can keep a credential.")
    return kept


def _response_types(document: Mapping[str, Any], grant_types: tuple[str, ...]) -> tuple[str, ...]:
    # The code flow is the only one that has an authorization response, so both are registered or neither (section 2.1).
    if AUTHORIZATION_CODE not in grant_types:
        if document.get("response_types"):
            raise ClientMetadataError(f"response_types need {AUTHORIZATION_CODE} among grant_types.")
        return ()
    wanted = strings("response_types", document.get("response_types", list(_RESPONSE_TYPES)), MAX_VALUES)
    if not set(_RESPONSE_TYPES) <= set(wanted):
        raise ClientMetadataError("response_types must include code.")
    return _RESPONSE_TYPES


def _auth_method(document: Mapping[str, Any], origin: ClientOrigin, *, has_keys: bool) -> AuthMethod:
    name, choices_name = "token_endpoint_auth_method", "token_endpoint_auth_methods_supported"
    _check_signing_algorithm(document)
    secret_methods = () if origin == "document" else ("client_secret_basic", "client_secret_post")
    offered = [m for m in _AUTH_METHODS if m in (*secret_methods, "private_key_jwt", "none")]
    usable = [m for m in offered if has_keys or m != "private_key_jwt"]
    choices = strings(choices_name, document[choices_name], MAX_VALUES) if choices_name in document else None
    preferred = document.get(name)
    if name in document:
        if not isinstance(preferred, str):
            raise ClientMetadataError(f"{name} must be a string.")
        if choices is not None and preferred not in choices:
            raise ClientMetadataError(f"{name} must be one of {choices_name}.")
        choices = [preferred] if choices is None or preferred in usable else choices
    elif choices is None:
        choices = ["none" if origin == "document" else "client_secret_basic"]
    for method in usable:
        if method in choices:
            return method
    if "private_key_jwt" in choices:
        raise ClientMetadataError("private_key_jwt needs jwks or jwks_uri.")
    raise ClientMetadataError(f"{name} must be one of {', '.join(offered)}.")


def _check_signing_algorithm(document: Mapping[str, Any]) -> None:
    name, choices_name = "token_endpoint_auth_signing_alg", "token_endpoint_auth_signing_alg_values_supported"
    algorithm = document.get(name, "")
    if not isinstance(algorithm, str):
        raise ClientMetadataError(f"{name} must be a string.")
    choices = strings(choices_name, document.get(choices_name, [algorithm]), MAX_VALUES)
    if name in document and algorithm not in choices:
        raise ClientMetadataError(f"{name} must be one of {choices_name}.")


def _signing_algorithm(document: Mapping[str, Any], method: AuthMethod) -> dict[str, str]:
    """The one algorithm that the client will sign its assertions with, where it names one."""
    name = "token_endpoint_auth_signing_alg"
    if method != "private_key_jwt" or name not in document:
        return {}
    if document[name] not in SIGNATURE_ALGORITHMS:
        raise ClientMetadataError(f"{name} must be one of {', '.join(SIGNATURE_ALGORITHMS)}.")
    return {name: document[name]}


def _jwks(document: Mapping[str, Any]) -> dict[str, Any] | None:
    if "jwks" not in document:
        return None
    jwks = document["jwks"]
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or len(keys) > MAX_KEYS or not all(isinstance(key, dict) for key in keys):
        raise ClientMetadataError(f"jwks must be a JWK Set of no more than {MAX_KEYS} keys.")
    if any(key.get("kty") == "oct" or _PRIVATE_KEY_MEMBERS & key.keys() for key in keys):
        raise ClientMetadataError("jwks must have public keys only.")
    if len(json.dumps(keys)) > MAX_JWKS_CHARACTERS:
        raise ClientMetadataError("jwks is too large.")
    return {"keys": keys}


def _introspects(document: Mapping[str, Any], origin: ClientOrigin, method: AuthMethod) -> tuple[str, ...]:
    if origin != "operator" or "introspects" not in document:
        return ()
    # Any resource: the command line, which makes such clients too, does not know those of the server.
    identifiers = tuple(dict.fromkeys(strings("introspects", document["introspects"], MAX_VALUES)))
    if any(not is_resource_identifier(identifier) for identifier in identifiers):
        raise ClientMetadataError("introspects must name resources by their identifiers, which are plain https URLs.")
    if identifiers and method == "none":
        raise ClientMetadataError("A client that introspects must be able to authenticate.")
    return identifiers


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
