"""The settings of one server: checked once, at start, with a sentence that names the field."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from ._resources import ProtectedResource as ProtectedResource
from ._resources import Resource as Resource
from ._resources import is_irregular, protected_resources
from ._urls import HttpUrl, parse_http_url
from .errors import ConfigurationError

Clock = Callable[[], float]
"""Seconds since 1970 UTC; read once a request."""

AUTHORIZATION_CODE = "authorization_code"
REFRESH_TOKEN = "refresh_token"  # noqa: S105
CLIENT_CREDENTIALS = "client_credentials"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

SIGNATURE_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
"""How an assertion may be signed (RFC 7518 section 3.1): with keys of which only the public half is known.

The last two are one algorithm under its older and its newer name (RFC 8037, RFC 9864).
"""

ED25519_NAMES = ("EdDSA", "Ed25519")

OFFLINE_ACCESS = "offline_access"
"""The scope that asks for a refresh token; it is the authorization server's own, no resource's."""

CLOCK_SKEW = 60
"""By how many seconds another machine's clock may differ from this one."""

DAY = 86_400
LOOPBACK_CODE_TTL = 300
MAX_TTL = 100 * 365 * DAY

_ENDPOINT = re.compile(r"(?:/[A-Za-z0-9\-._~]+)+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*")
# What browsers handle themselves; a redirect there would not reach an application.
_TAKEN_SCHEMES = frozenset(
    {"about", "blob", "data", "file", "filesystem", "ftp", "http", "https", "intent", "javascript", "mailto", "tel"}
    | {"vbscript", "view-source", "ws", "wss"}
)

# Schemes without a dot, in spite of RFC 8252 section 7.1, that clients register: one that is refused keeps them out.
KNOWN_PRIVATE_USE_SCHEMES = ("claude", "cursor", "grokbot", "vscode", "vscode-insiders", "windsurf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the rules need to know; made by `configure`, which checks it. Lifetimes are seconds."""

    issuer: str
    issuer_url: HttpUrl
    authorize_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    introspection_endpoint: str | None
    verify_endpoint: str | None
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
    event_ttl: int | None
    unused_client_ttl: int | None
    max_unused_clients: int | None
    require_initial_access_token: bool
    allow_client_management: bool
    client_id_metadata_documents: bool
    cimd_allowed_networks: tuple[IPv4Network | IPv6Network, ...]
    allow_token_exchange: bool
    trusts_issuers: bool
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
    def grant_types(self) -> tuple[str, ...]:
        """The grant types that this server has (RFC 7591 section 2)."""
        always = (AUTHORIZATION_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS)
        exchange = (TOKEN_EXCHANGE,) if self.allow_token_exchange else ()
        return always + exchange + ((JWT_BEARER,) if self.trusts_issuers else ())

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
    introspection_endpoint: str | None = None,
    verify_endpoint: str | None = None,
    client_registration_endpoint: str | None = "/register",
    default_scopes: Iterable[str] | None = None,
    default_resources: Iterable[str] | None = None,
    code_ttl: int = 60,
    access_token_ttl: int = 3600,
    refresh_token_ttl: int | None = 30 * DAY,
    refresh_token_idle_ttl: int | None = None,
    refresh_replay_window: int = 60,
    callback_timeout: float = 10.0,
    event_ttl: int | None = 90 * DAY,
    unused_client_ttl: int | None = 90 * DAY,
    max_unused_clients: int | None = 1000,
    require_initial_access_token: bool = False,
    allow_client_management: bool = False,
    client_id_metadata_documents: bool = True,
    cimd_allowed_networks: Iterable[str] = (),
    allow_token_exchange: bool = False,
    trusts_issuers: bool = False,
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
            "introspection_endpoint": introspection_endpoint,
            "verify_endpoint": verify_endpoint,
            "client_registration_endpoint": client_registration_endpoint,
        },
        prefixes := tuple(prefixes),
    )
    protected = protected_resources(issuer, issuer_url, prefixes, resources or {})
    settings = Settings(
        issuer=issuer,
        issuer_url=issuer_url,
        authorize_endpoint=authorize_endpoint,
        token_endpoint=token_endpoint,
        revocation_endpoint=revocation_endpoint,
        introspection_endpoint=introspection_endpoint,
        verify_endpoint=verify_endpoint,
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
        refresh_token_ttl=_lifetime("refresh_token_ttl", refresh_token_ttl, 0),
        refresh_token_idle_ttl=_lifetime("refresh_token_idle_ttl", refresh_token_idle_ttl, 1),
        refresh_replay_window=_seconds("refresh_replay_window", refresh_replay_window, 0, 600),
        callback_timeout=_timeout(callback_timeout),
        event_ttl=_lifetime("event_ttl", event_ttl, 1),
        unused_client_ttl=_lifetime("unused_client_ttl", unused_client_ttl, 1),
        max_unused_clients=None if max_unused_clients is None else _most_unused(max_unused_clients),
        require_initial_access_token=require_initial_access_token,
        allow_client_management=allow_client_management,
        client_id_metadata_documents=client_id_metadata_documents,
        cimd_allowed_networks=_networks("cimd_allowed_networks", cimd_allowed_networks),
        allow_token_exchange=allow_token_exchange,
        trusts_issuers=trusts_issuers,
        private_use_schemes=_schemes(private_use_schemes),
        trusted_proxies=_networks("trusted_proxies", trusted_proxies),
        clock=clock,
    )
    _check_fit(settings)
    return settings


def _check_fit(settings: Settings) -> None:
    """Settings that cannot do what they say together are found here, and not by the first user."""
    if settings.client_registration_endpoint is None:
        for name in ("require_initial_access_token", "allow_client_management"):
            if getattr(settings, name):
                raise ConfigurationError(name, "needs a client_registration_endpoint.")
    resources = settings.default_resources
    if resources is None or settings.default_scopes is None:
        return
    for scope in settings.default_scopes:
        if scope not in settings.scopes_of(resources):
            raise ConfigurationError("default_scopes", f"{scope!r} is a scope of none of the default resources.")


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
        if not _ENDPOINT.fullmatch(path) or is_irregular(path):
            raise ConfigurationError(name, f"must be a plain path that begins with a slash, not {path!r}.")
        if path in taken:
            raise ConfigurationError(name, f"overlaps {taken[path]}: both are {path!r}.")
        taken[path] = name
    for prefix in prefixes:
        if prefix in taken:
            raise ConfigurationError("api_handlers", f"the prefix {prefix!r} overlaps {taken[prefix]}.")


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


def _lifetime(name: str, value: int | None, least: int) -> int | None:
    return None if value is None else _seconds(name, value, least, MAX_TTL)


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


def _most_unused(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError("max_unused_clients", f"must be a whole number of at least 1, or None, not {value!r}.")
    return value


def _networks(name: str, networks: Iterable[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    if isinstance(networks, str):
        raise ConfigurationError(name, "must be a list of strings, not one string.")
    parsed = []
    for text in networks:
        try:
            parsed.append(ip_network(text))
        except ValueError as error:
            raise ConfigurationError(name, f"{text!r} is not an address or network.") from error
    return tuple(parsed)
