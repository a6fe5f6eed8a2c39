"""What is asked for, and what a token may be good for: only what its resources know (RFC 8707 section 2.2)."""

from __future__ import annotations

from collections.abc import Iterable

from .._protocol.resources import parse_resources
from .._protocol.scopes import parse_scope
from ..config import OFFLINE_ACCESS, Settings
from ..errors import OAuthError
from ..records import Client, Grant

REFUSED_TO_STAY = "refused_offline_access"
"""The member of a grant's metadata that says so; the metadata is bound to the code, and whoever alters it spoils it."""


def requested_resources(settings: Settings, values: Iterable[str]) -> tuple[str, ...]:
    """The resources asked for, or the default ones. Raises OAuthError `invalid_target`."""
    requested = parse_resources(values, settings)
    if requested:
        return requested
    if settings.default_resources is not None:
        return settings.default_resources
    return tuple(dict.fromkeys(resource.identifier for resource in settings.resources))


def requested_scopes(
    settings: Settings, client: Client, resources: tuple[str, ...], text: str | None
) -> tuple[str, ...]:
    """The scopes asked for, or the default ones, that these resources declare and this client may have.

    Raises OAuthError `invalid_scope` for a scope that no resource has, or if nothing that was asked for remains.
    """
    declared = settings.scopes_of(resources) - {OFFLINE_ACCESS}
    allowed = [s for s in settings.scopes if s in declared and (client.scopes is None or s in client.scopes)]
    requested = tuple(scope for scope in parse_scope(text) if scope != OFFLINE_ACCESS)
    if not requested:
        default = allowed if settings.default_scopes is None else settings.default_scopes
        return tuple(scope for scope in default if scope in allowed)
    if any(scope not in settings.scopes for scope in requested):
        raise OAuthError("invalid_scope")
    scopes = tuple(scope for scope in requested if scope in allowed)
    if not scopes:
        raise OAuthError("invalid_scope")
    return scopes


def asks_to_stay(settings: Settings, text: str | None) -> bool:
    """Whether a scope parameter asks for a refresh token, and this server issues any (MCP 2026-07-28)."""
    return settings.refresh_token_ttl != 0 and OFFLINE_ACCESS in parse_scope(text)


def may_refresh(client: Client, grant_scopes: Iterable[str]) -> bool:
    """Whether a grant with these scopes gets a refresh token: the client registered for it, or the user allowed it."""
    return "refresh_token" in client.grant_types or OFFLINE_ACCESS in grant_scopes


def may_stay(client: Client, grant: Grant) -> bool:
    """Whether this grant gets a refresh token: unless the user was asked whether the client may stay, and refused."""
    return not grant.metadata.get(REFUSED_TO_STAY) and may_refresh(client, grant.scopes)


def narrowed_audience(settings: Settings, grant: Grant, requested: tuple[str, ...]) -> tuple[str, ...]:
    """The requested resources of a grant, or all of them. Raises OAuthError `invalid_target` for another's."""
    if any(resource not in grant.resources for resource in requested):
        raise OAuthError("invalid_target", "The resource is not part of the grant.")
    audience = tuple(resource for resource in requested or grant.resources if settings.resource(resource) is not None)
    if not audience and grant.resources:
        raise OAuthError("invalid_grant", reason="no resource of the grant is hosted here any more")
    return audience


def narrowed_scopes(
    settings: Settings, ceiling: tuple[str, ...], requested: tuple[str, ...], audience: tuple[str, ...]
) -> tuple[str, ...]:
    """The requested scopes below a ceiling, or all of it, cut to what the audience declares.

    Raises OAuthError `invalid_scope` if more than the ceiling is asked for, or nothing that is asked for remains.
    """
    requested = tuple(scope for scope in requested if scope != OFFLINE_ACCESS)
    if any(scope not in ceiling for scope in requested):
        raise OAuthError("invalid_scope", "The scope exceeds what was granted.")
    declared = settings.scopes_of(audience) - {OFFLINE_ACCESS}
    scopes = tuple(scope for scope in requested or ceiling if scope in declared)
    if requested and not scopes:
        raise OAuthError("invalid_scope", "No resource of the token knows the scope.")
    return scopes
