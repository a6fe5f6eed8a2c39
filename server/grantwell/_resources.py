"""Protected resources: what each says of itself, where it is and what its scopes include (RFC 8707, RFC 9728)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ._urls import HttpUrl, parse_http_url
from .errors import ConfigurationError

_PREFIX = re.compile(r"/|(?:/[A-Za-z0-9\-._~]+)+")
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")
_WELL_KNOWN_RESOURCE = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What a protected resource says of itself (RFC 9728 section 2).

    `scopes` maps each scope to a description for the consent page, `implies` a scope to those that it includes: a
    token with `files` passes where `files:read` is needed. `identifier` is the URL of a resource below a prefix; it
    defaults to issuer and prefix, and must cover the prefix. `name` is for people.
    """

    scopes: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    identifier: str | None = None
    implies: Mapping[str, Iterable[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedResource:
    """A protected resource with its identifier and the place of its metadata.

    `prefix` is None for one that lives elsewhere: it publishes its metadata itself, and introspects its tokens.
    `implied` has, for each scope that includes others, all that it includes.
    """

    prefix: str | None
    identifier: str
    name: str | None
    scopes: Mapping[str, str]
    metadata_path: str
    metadata_url: str
    implied: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def with_implied(self, scopes: Iterable[str]) -> tuple[str, ...]:
        """The scopes and what they include, each once: what a token with these scopes may do here."""
        held = tuple(scopes)
        return tuple(dict.fromkeys([*held, *(s for scope in held for s in sorted(self.implied.get(scope, ())))]))


def protected_resources(
    issuer: str, issuer_url: HttpUrl, prefixes: tuple[str, ...], resources: Mapping[str, Resource]
) -> tuple[ProtectedResource, ...]:
    """The resources below these prefixes and those elsewhere, described and checked. Raises ConfigurationError."""
    for prefix in prefixes:
        if not _PREFIX.fullmatch(prefix) or is_irregular(prefix):
            raise ConfigurationError(
                "api_handlers", f"the prefix {prefix!r} must begin with a slash, end without one, and be a plain path."
            )
    elsewhere = [key for key in resources if key not in prefixes]
    for key in elsewhere:
        if key.startswith("/"):
            raise ConfigurationError("resources", f"{key!r} is not a prefix of api_handlers.")
    protected = tuple(
        _protected_resource(issuer, issuer_url, prefix, resources.get(prefix, Resource())) for prefix in prefixes
    ) + tuple(_resource_elsewhere(key, resources[key]) for key in elsewhere)
    by_identifier: dict[str, ProtectedResource] = {}
    for resource in protected:
        same = by_identifier.setdefault(resource.identifier, resource)
        if (dict(same.scopes), same.name, same.implied) != (dict(resource.scopes), resource.name, resource.implied):
            raise ConfigurationError(
                "resources",
                f"{same.prefix!r} and {resource.prefix!r} share {resource.identifier} but describe it differently.",
            )
    return protected


def _protected_resource(issuer: str, issuer_url: HttpUrl, prefix: str, resource: Resource) -> ProtectedResource:
    location = issuer + ("" if prefix == "/" else prefix)
    identifier = resource.identifier if resource.identifier is not None else location
    url = parse_http_url(identifier)
    if url is None or url.fragment is not None or url.query is not None:
        raise ConfigurationError("resources", f"the identifier {identifier!r} of {prefix!r} must be a plain https URL.")
    path = url.path.rstrip("/")
    covered = issuer_url.path + ("" if prefix == "/" else prefix)
    if (
        identifier != url.origin + url.path
        or url.origin != issuer_url.origin
        or not f"{covered}/".startswith(f"{path}/")
    ):
        raise ConfigurationError("resources", f"the identifier {identifier!r} does not cover its prefix: {location}")
    return _described(prefix, identifier, url, resource)


def _resource_elsewhere(identifier: str, resource: Resource) -> ProtectedResource:
    """A resource that another server protects: it is known by its URL, and introspects its tokens here."""
    url = parse_http_url(identifier)
    if url is None or not is_resource_identifier(identifier) or resource.identifier not in (None, identifier):
        raise ConfigurationError(
            "resources", f"{identifier!r} is neither a prefix of api_handlers nor a plain https URL."
        )
    return _described(None, identifier, url, resource)


def is_resource_identifier(text: str) -> bool:
    """Whether this may identify a resource: a plain https URL in one spelling (RFC 8707 section 2)."""
    url = parse_http_url(text)
    return (
        url is not None
        and (url.is_https or url.is_loopback)
        and url.query is None
        and url.fragment is None
        and text == url.origin + url.path
    )


def _described(prefix: str | None, identifier: str, url: HttpUrl, resource: Resource) -> ProtectedResource:
    place = prefix or identifier
    if not isinstance(resource.scopes, Mapping):
        raise ConfigurationError("resources", f"the scopes of {place!r} must map each scope to its description.")
    for scope in resource.scopes:
        if not _SCOPE_TOKEN.fullmatch(scope):
            raise ConfigurationError(
                "resources", f"{scope!r} of {place!r} is not a scope token (RFC 6749 section 3.3)."
            )
    # "any terminating slash following the host component MUST be removed" (RFC 9728 section 3.1)
    metadata_path = _WELL_KNOWN_RESOURCE + ("" if url.path == "/" else url.path)
    return ProtectedResource(
        prefix=prefix,
        identifier=identifier,
        name=resource.name,
        scopes=dict(resource.scopes),
        metadata_path=metadata_path,
        metadata_url=url.origin + metadata_path,
        implied=_implied(place, resource),
    )


def _implied(place: str, resource: Resource) -> dict[str, frozenset[str]]:
    direct: dict[str, frozenset[str]] = {}
    for scope, included in resource.implies.items():
        if isinstance(included, str):
            raise ConfigurationError("resources", f"what {scope!r} of {place!r} implies must be a list of scopes.")
        direct[scope] = frozenset(included)
        if unknown := ({scope} | direct[scope]) - set(resource.scopes):
            raise ConfigurationError("resources", f"{min(unknown)!r} of {place!r} is in `implies` but not in `scopes`.")
    implied = {}
    for scope in direct:
        found: frozenset[str] = frozenset()
        ahead = direct[scope]
        while ahead - found:
            found |= ahead
            ahead = frozenset(s for scope_ in found for s in direct.get(scope_, ()))
        implied[scope] = found - {scope}
    return implied


def is_irregular(path: str) -> bool:
    """Whether a configured path has dot segments or lies where metadata does."""
    return path.startswith("/.well-known") or any(segment in (".", "..") for segment in path.split("/"))
