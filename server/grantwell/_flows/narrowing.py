"""What a token may be good for: inside the grant, and only what its resources know (RFC 8707 section 2.2)."""

from __future__ import annotations

from ..config import Settings
from ..errors import OAuthError
from ..records import Grant


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
    if any(scope not in ceiling for scope in requested):
        raise OAuthError("invalid_scope", "The scope exceeds what was granted.")
    declared = settings.scopes_of(audience)
    scopes = tuple(scope for scope in requested or ceiling if scope in declared)
    if requested and not scopes:
        raise OAuthError("invalid_scope", "No resource of the token knows the scope.")
    return scopes
