"""Records to rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from grantwell.records import (
    AccessToken,
    Client,
    Code,
    Event,
    Grant,
    InitialAccessToken,
    Interaction,
    JsonObject,
    RefreshToken,
    RetiredToken,
    SealedProps,
    Session,
    User,
)

from .columns import CODE, EVENT, INITIAL_ACCESS_TOKEN, INTERACTION, SESSION, USER

Values = dict[str, Any]

_TOKEN_MEMBERS = ("digest", "issued_at", "expires_at", "props_version", "wrapped_key", "mac")


def strings(values: Iterable[str]) -> str:
    """The JSON text of a list of strings."""
    return json.dumps(list(values), separators=(",", ":"))


def _optional_strings(values: Iterable[str] | None) -> str | None:
    return None if values is None else strings(values)


def _json(value: JsonObject) -> str:
    return json.dumps(dict(value), separators=(",", ":"), sort_keys=True, allow_nan=False)


def _pairs(pairs: Iterable[tuple[bytes, int | None]]) -> str:
    return json.dumps([[digest.hex(), instant] for digest, instant in pairs], separators=(",", ":"))


def client_values(client: Client) -> Values:
    """The row of a client."""
    return {
        "client_id": client.client_id,
        "origin": client.origin,
        "name": client.name,
        "redirect_uris": strings(client.redirect_uris),
        "grant_types": strings(client.grant_types),
        "response_types": strings(client.response_types),
        "token_endpoint_auth_method": client.token_endpoint_auth_method,
        "scopes": _optional_strings(client.scopes),
        "metadata": _json(client.metadata),
        "secrets": _pairs((secret.digest, secret.expires_at) for secret in client.secrets),
        "created_at": client.created_at,
        "last_used_at": client.last_used_at,
        "version": client.version,
        "mac": client.mac,
        "jwks": None if client.jwks is None else _json(client.jwks),
        "jwks_uri": client.jwks_uri,
        "introspects": strings(client.introspects),
        "registration_access": client.registration_access,
        "registered_from": client.registered_from,
    }


def initial_access_token_values(token: InitialAccessToken) -> Values:
    """The row of an initial access token."""
    return {column.name: getattr(token, column.name) for column in INITIAL_ACCESS_TOKEN}


def grant_values(grant: Grant) -> Values:
    """The row of a grant whose code is not yet exchanged, without its serial."""
    return {
        "grant_id": grant.grant_id,
        "user_id": grant.user_id,
        "client_id": grant.client_id,
        "scopes": strings(grant.scopes),
        "resources": strings(grant.resources),
        "redirect_uri": grant.redirect_uri,
        "metadata": _json(grant.metadata),
        "created_at": grant.created_at,
        "exchanged_at": grant.exchanged_at,
        "expires_at": grant.expires_at,
        "last_used_at": grant.last_used_at,
        "revoked_at": grant.revoked_at,
        "revoked_reason": grant.revoked_reason,
        "generation": 0,
        "retired": "[]",
        "lease_lapses": 0,
        "lease_refusals": 0,
    }


def slot_values(slot: str, token: RefreshToken | None) -> Values:
    """The columns of one refresh token, `current` or `previous`; all NULL for none."""
    return {f"{slot}_{member}": None if token is None else getattr(token, member) for member in _TOKEN_MEMBERS}


def retired_text(retired: Iterable[RetiredToken]) -> str:
    """The column `retired`."""
    return _pairs((token.digest, token.retired_at) for token in retired)


def code_values(grant_id: str, code: Code) -> Values:
    """The row of a code."""
    return {"grant_id": grant_id, **{column.name: getattr(code, column.name) for column in CODE}}


def props_values(grant_id: str, props: SealedProps) -> Values:
    """The row of a props version."""
    return {"grant_id": grant_id, "version": props.version, "ciphertext": props.ciphertext}


def access_token_values(grant_id: str, token: AccessToken) -> Values:
    """The row of an access token, without its serial."""
    return {
        "grant_id": grant_id,
        "digest": token.digest,
        "scopes": strings(token.scopes),
        "audience": strings(token.audience),
        "issued_at": token.issued_at,
        "expires_at": token.expires_at,
        "props_version": token.props_version,
        "wrapped_key": token.wrapped_key,
        "mac": token.mac,
    }


def user_values(user: User) -> Values:
    """The row of a user."""
    return {column.name: getattr(user, column.name) for column in USER}


def session_values(session: Session) -> Values:
    """The row of a session."""
    return {column.name: getattr(session, column.name) for column in SESSION}


def event_values(event: Event) -> Values:
    """The row of an event."""
    values = {column.name: getattr(event, column.name) for column in EVENT}
    return values | {"reference": event.reference or None, "details": _json(event.details)}


def interaction_values(interaction: Interaction) -> Values:
    """The row of an interaction, without its serial."""
    return {column.name: getattr(interaction, column.name) for column in INTERACTION}
