"""What an application asks to be allowed, in words, and what of it a person left ticked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from .. import AuthorizationRequest
from ..config import OFFLINE_ACCESS, ProtectedResource
from .visits import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A scope that is asked for, in the words of each resource that has it, and whether it can be left out."""

    scope: str
    words: tuple[str, ...]
    details: str
    is_optional: bool
    is_chosen: bool


def chosen_scopes(request: AuthorizationRequest, ticked: Collection[str]) -> tuple[str, ...] | None:
    """What a person allows who left these boxes ticked; None if they left nothing, where something was asked for.

    A single scope has no box: it is allowed or denied as a whole.
    """
    optional = _optional(request)
    chosen = tuple(scope for scope in request.scopes if scope not in optional or scope in ticked)
    asked_for_scopes = any(scope != OFFLINE_ACCESS for scope in request.scopes)
    return chosen if not asked_for_scopes or any(scope != OFFLINE_ACCESS for scope in chosen) else None


def asked_permissions(
    site: Site, request: AuthorizationRequest, ticked: Collection[str] | None = None
) -> Iterator[Permission]:
    """What is asked for, in order; ticked is everything unless it is told what was."""
    resources = [resource for name in request.resources if (resource := site.settings.resource(name)) is not None]
    optional = _optional(request)
    for scope in request.scopes:
        stays = scope == OFFLINE_ACCESS
        yield Permission(
            scope=scope,
            words=(site.texts("consent.offline_access"),) if stays else _words(scope, resources),
            details=_until_when(site) if stays else _included(site, scope, resources),
            is_optional=scope in optional,
            is_chosen=ticked is None or scope in ticked,
        )


def _optional(request: AuthorizationRequest) -> frozenset[str]:
    """What has a box of its own: each of several scopes, and the wish to stay."""
    scopes = frozenset(request.scopes) - {OFFLINE_ACCESS}
    return (scopes if len(scopes) > 1 else frozenset()) | ({OFFLINE_ACCESS} & set(request.scopes))


def _words(scope: str, resources: Sequence[ProtectedResource]) -> tuple[str, ...]:
    words = dict.fromkeys(resource.scopes[scope] or scope for resource in resources if scope in resource.scopes)
    return tuple(words) or (scope,)


def _included(site: Site, scope: str, resources: Sequence[ProtectedResource]) -> str:
    """What the scope brings along, ticked or not."""
    included = [
        resource.scopes[other] or other for resource in resources for other in sorted(resource.implied.get(scope, ()))
    ]
    return site.texts("consent.includes", scopes="; ".join(dict.fromkeys(included))) if included else ""


def _until_when(site: Site) -> str:
    return site.texts("consent.without_offline_access", access=site.texts.duration(site.settings.access_token_ttl))
