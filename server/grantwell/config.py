"""The settings of one server: checked once, at start, with a sentence that names the field."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network

from ._urls import HttpUrl, parse_http_url
from .errors import ConfigurationError

Clock = Callable[[], float]
"""Seconds since 1970 UTC; read once a request."""

DAY = 86_400
LOOPBACK_CODE_TTL = 300
MAX_TTL = 100 * 365 * DAY

_ENDPOINT = re.compile(r"(?:/[A-Za-z0-9\-._~]+)+")
_PREFIX = re.compile(r"/|(?:/[A-Za-z0-9\-._~]+)+")
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*")
# What browsers handle themselves; a redirect there would not reach an application.
_TAKEN_SCHEMES = frozenset(
    {"about", "blob", "data", "file", "filesystem", "ftp", "http", "https", "intent", "javascript", "mailto", "tel"}
    | {"vbscript", "view-source", "ws", "wss"}
)
_WELL_KNOWN_RESOURCE = "/.well-known/oauth-protected-resource"

# Schemes without a dot that editors registered before RFC 8252 section 7.1 was followed.
KNOWN_PRIVATE_USE_SCHEMES = ("cursor", "vscode", "vscode-insiders", "windsurf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What a protected prefix says of itself (RFC 9728 section 2).

    `scopes` maps each scope to a description for the consent page. `identifier` is the resource's URL; it defaults to
    issuer and prefix, and must cover the prefix. `name` is for people.
    """

    scopes: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    identifier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedResource:
    """A protected prefix with its resource identifier and the place of its metadata."""

    prefix: str
    identifier: str
    name: str | None
    scopes: Mapping[str, str]
    metadata_path: str
    metadata_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the rules need to know; made by `configure`, which checks it. Lifetimes are seconds."""

    issuer: str
    issuer_url: HttpUrl
    authorize_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    client_registration_endpoint: str | None
    resources: tuple[ProtectedResource, ...]
    default_scopes: tuple[str, ...] | None
    default_resources: tuple[str, ...] | None
    code_ttl: int
    access_token_ttl: int
    refresh_token_ttl: int | None
    refresh_token_idle_ttl: int | None
    refresh_replay_window: int
    callback_timeout: float
    unused_client_ttl: int | None
    private_use_schemes: frozenset[str]
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    clock: Clock

    def url(self, path: str) -> str:
        """The absolute URL of a path below the issuer."""
        return self.issuer + path

    def resource(self, identifier: str) -> ProtectedResource | None:
        """The protected resource with exactly this identifier."""
        return next((r for r in self.resources if r.identifier == identifier), None)

    @property
    def scopes(self) -> Mapping[str, str]:
        """Every scope that some resource declares, with its description."""
        return {scope: text for resource in self.resources for scope, text in resource.scopes.items()}

    def scopes_of(self, identifiers: Iterable[str]) -> frozenset[str]:
        """The scopes that these resources declare together."""
        wanted = frozenset(identifiers)
        return frozenset(scope for r in self.resources if r.identifier in wanted for scope in r.scopes)


def configure(
    *,
    issuer: str,
    prefixes: Iterable[str],
    resources: Mapping[str, Resource] | None = None,
    authorize_endpoint: str = "/authorize",
    token_endpoint: str = "/token",  # noqa: S107
    revocation_endpoint: str = "/revoke",
    client_registration_endpoint: str | None = "/register",
    default_scopes: Iterable[str] | None = None,
    default_resources: Iterable[str] | None = None,
    code_ttl: int = 60,
    access_token_ttl: int = 3600,
    refresh_token_ttl: int | None = 30 * DAY,
    refresh_token_idle_ttl: int | None = None,
    refresh_replay_window: int = 60,
    callback_timeout: float = 10.0,
    unused_client_ttl: int | None = 90 * DAY,
    private_use_schemes: Iterable[str] = KNOWN_PRIVATE_USE_SCHEMES,
    trusted_proxies: Iterable[str] = (),
    clock: Clock = time.time,
) -> Settings:
    """Check the settings and complete them. Raises ConfigurationError, which names the field and says what it wants."""
    issuer_url = _issuer(issuer)
    _check_endpoints(
        {
            "authorize_endpoint": authorize_endpoint,
            "token_endpoint": token_endpoint,
            "revocation_endpoint": revocation_endpoint,
            "client_registration_endpoint": client_registration_endpoint,
        },
        prefixes := tuple(prefixes),
    )
    protected = _protected_resources(issuer, issuer_url, prefixes, resources or {})
    return Settings(
        issuer=issuer,
        issuer_url=issuer_url,
        authorize_endpoint=authorize_endpoint,
        token_endpoint=token_endpoint,
        revocation_endpoint=revocation_endpoint,
        client_registration_endpoint=client_registration_endpoint,
        resources=protected,
        default_scopes=_known(
            "default_scopes", default_scopes, [s for r in protected for s in r.scopes], "is not a scope of any resource"
        ),
        default_resources=_known(
            "default_resources",
            default_resources,
            [r.identifier for r in protected],
            "is not a resource of this server",
        ),
        code_ttl=_seconds("code_ttl", code_ttl, 1, 600),
        access_token_ttl=_seconds("access_token_ttl", access_token_ttl, 1, MAX_TTL),
        refresh_token_ttl=None
        if refresh_token_ttl is None
        else _seconds("refresh_token_ttl", refresh_token_ttl, 0, MAX_TTL),
        refresh_token_idle_ttl=(
            None
            if refresh_token_idle_ttl is None
            else _seconds("refresh_token_idle_ttl", refresh_token_idle_ttl, 1, MAX_TTL)
        ),
        refresh_replay_window=_seconds("refresh_replay_window", refresh_replay_window, 0, 600),
        callback_timeout=_timeout(callback_timeout),
        unused_client_ttl=None
        if unused_client_ttl is None
        else _seconds("unused_client_ttl", unused_client_ttl, 1, MAX_TTL),
        private_use_schemes=_schemes(private_use_schemes),
        trusted_proxies=_networks(trusted_proxies),
        clock=clock,
    )


def _issuer(issuer: str) -> HttpUrl:
    url = parse_http_url(issuer)
    if url is None:
        raise ConfigurationError("issuer", f"must be an absolute https URL, not {issuer!r}.")
    if url.query is not None or url.fragment is not None:
        raise ConfigurationError("issuer", "must have no query and no fragment (RFC 8414 section 2).")
    if not url.is_https and not url.is_loopback:
        raise ConfigurationError("issuer", "must be https; http is only for 127.0.0.1, [::1] and localhost.")
    if url.path.endswith("/"):
        raise ConfigurationError("issuer", "must not end with a slash: clients compare it byte by byte.")
    if url.has_dot_segments or "//" in url.path or "%" in url.path:
        raise ConfigurationError("issuer", "must have a plain path, without dot segments, '//' or percent signs.")
    if issuer != url.origin + url.path:
        raise ConfigurationError(
            "issuer", f"must be written in lower case and without a default port: {url.origin}{url.path}"
        )
    return url


def _check_endpoints(endpoints: Mapping[str, str | None], prefixes: tuple[str, ...]) -> None:
    taken: dict[str, str] = {}
    for name, path in endpoints.items():
        if path is None:
            continue
        if not _ENDPOINT.fullmatch(path) or _is_irregular(path):
            raise ConfigurationError(name, f"must be a plain path that begins with a slash, not {path!r}.")
        if path in taken:
            raise ConfigurationError(name, f"overlaps {taken[path]}: both are {path!r}.")
        taken[path] = name
    for prefix in prefixes:
        if prefix in taken:
            raise ConfigurationError("api_handlers", f"the prefix {prefix!r} overlaps {taken[prefix]}.")


def _is_irregular(path: str) -> bool:
    return path.startswith("/.well-known") or any(segment in (".", "..") for segment in path.split("/"))


def _protected_resources(
    issuer: str, issuer_url: HttpUrl, prefixes: tuple[str, ...], resources: Mapping[str, Resource]
) -> tuple[ProtectedResource, ...]:
    for prefix in prefixes:
        if not _PREFIX.fullmatch(prefix) or _is_irregular(prefix):
            raise ConfigurationError(
                "api_handlers", f"the prefix {prefix!r} must begin with a slash, end without one, and be a plain path."
            )
    for prefix in resources:
        if prefix not in prefixes:
            raise ConfigurationError("resources", f"{prefix!r} is not a prefix of api_handlers.")
    protected = tuple(
        _protected_resource(issuer, issuer_url, prefix, resources.get(prefix, Resource())) for prefix in prefixes
    )
    by_identifier: dict[str, ProtectedResource] = {}
    for resource in protected:
        same = by_identifier.setdefault(resource.identifier, resource)
        if dict(same.scopes) != dict(resource.scopes) or same.name != resource.name:
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
    if not isinstance(resource.scopes, Mapping):
        raise ConfigurationError("resources", f"the scopes of {prefix!r} must map each scope to its description.")
    for scope in resource.scopes:
        if not _SCOPE_TOKEN.fullmatch(scope):
            raise ConfigurationError(
                "resources", f"{scope!r} of {prefix!r} is not a scope token (RFC 6749 section 3.3)."
            )
    # "any terminating slash following the host component MUST be removed" (RFC 9728 section 3.1)
    metadata_path = _WELL_KNOWN_RESOURCE + ("" if url.path == "/" else url.path)
    return ProtectedResource(
        prefix=prefix,
        identifier=identifier,
        name=resource.name,
        scopes=dict(resource.scopes),
        metadata_path=metadata_path,
        metadata_url=issuer_url.origin + metadata_path,
    )


def _known(name: str, chosen: Iterable[str] | None, known: list[str], complaint: str) -> tuple[str, ...] | None:
    if chosen is None:
        return None
    if isinstance(chosen, str):
        raise ConfigurationError(name, "must be a list of strings, not one string.")
    values = tuple(dict.fromkeys(chosen))
    for value in values:
        if value not in known:
            raise ConfigurationError(name, f"{value!r} {complaint}.")
    return values


def _seconds(name: str, value: int, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(name, f"must be a whole number of seconds from {least} to {most}, not {value!r}.")
    return value


def _timeout(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 300:
        raise ConfigurationError("callback_timeout", f"must be more than 0 and at most 300 seconds, not {value!r}.")
    return float(value)


def _schemes(schemes: Iterable[str]) -> frozenset[str]:
    if isinstance(schemes, str):
        raise ConfigurationError("private_use_schemes", "must be a list of strings, not one string.")
    chosen = frozenset(schemes)
    for scheme in chosen:
        if not _SCHEME.fullmatch(scheme) or scheme in _TAKEN_SCHEMES:
            raise ConfigurationError("private_use_schemes", f"{scheme!r} is not a scheme that an application may own.")
    return chosen


def _networks(networks: Iterable[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    parsed = []
    for text in networks:
        try:
            parsed.append(ip_network(text))
        except ValueError as error:
            raise ConfigurationError("trusted_proxies", f"{text!r} is not an address or network.") from error
    return tuple(parsed)
