"""Settings that are right alone and wrong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from ...config import Resource, configure
from ...errors import ConfigurationError
from .lines import KeyPath
from .model import Api, Configuration, Protected
from .settings import SECTIONS

HEALTH_PATHS = ("/healthz", "/readyz")
"""Where a running server tells how it is; nothing else can be there."""


def is_loopback(host: str) -> bool:
    """Whether an address or name to listen at is of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def resources_of(configuration: Configuration) -> dict[str, Resource]:
    """What `OAuthProvider` gets as its resources: those below a prefix by their prefix, the others by identifier."""
    below = {api.prefix: _resource(api, identifier=api.identifier) for api in configuration.api}
    return below | {other.identifier: _resource(other) for other in configuration.resource}


def oauth_of(configuration: Configuration) -> dict[str, object]:
    """The settings that `OAuthProvider` takes under the names they have in the file."""
    return configuration.oauth.model_dump() | {"trusted_proxies": tuple(configuration.server.trusted_proxies)}


def misfits(configuration: Configuration) -> Iterator[tuple[KeyPath, str]]:
    """What does not go together, each with the key to change."""
    server = configuration.server
    if urlsplit(server.issuer).scheme == "http" and not is_loopback(server.host):
        yield (
            ("server", "host"),
            "must be 127.0.0.1, ::1 or localhost as long as the issuer is http: tokens would be readable on the way.",
        )
    for key, value in configuration.oauth:
        if value in HEALTH_PATHS:
            yield ("oauth", key), f"is taken: {value} tells how the server is."
    yield from _wrong_sign_in(configuration)
    wrong = list(_wrong_apis(configuration))
    yield from wrong
    if not wrong:
        yield from _refused(configuration)


def doubts(configuration: Configuration) -> Iterator[tuple[KeyPath, str]]:
    """What works, and is probably not what was meant."""
    server = configuration.server
    if urlsplit(server.issuer).scheme == "https" and not server.trusted_proxies:
        yield (
            ("server", "trusted_proxies"),
            "is empty, while https is done by a proxy: all callers seem to come from its address, and share the limits "
            'of one. Name the proxy, as in ["127.0.0.1"].',
        )
    if not configuration.api and not configuration.resource:
        yield ("api",), "is not there: tokens that are issued are for nothing."


_OF_OIDC = frozenset({"issuer", "allowed_domains", "allowed_groups", "groups_claim", "authorize_parameters"})
_OF_GITHUB = frozenset({"allowed_organizations", "allowed_users", "web", "api"})


def _wrong_sign_in(configuration: Configuration) -> Iterator[tuple[KeyPath, str]]:
    upstreams = configuration.upstream_signin
    if not configuration.signin.passwords and not upstreams:
        yield ("signin", "passwords"), "cannot be false without an [[upstream_signin]]: nobody could sign in."
    names: set[str] = set()
    for number, upstream in enumerate(upstreams):
        path: KeyPath = ("upstream_signin", number)
        foreign = _OF_GITHUB if upstream.kind == "oidc" else _OF_OIDC
        for key in sorted(upstream.model_fields_set & foreign):
            yield (*path, key), f'is not for kind = "{upstream.kind}".'
        if upstream.kind == "oidc" and upstream.issuer is None:
            yield (*path, "issuer"), "is missing."
        if upstream.name in names:
            yield (*path, "name"), f"is taken: there are two [[upstream_signin]] with the name {upstream.name}."
        names.add(upstream.name)
    if configuration.hooks.token_exchange_callback and any(upstream.keep_tokens for upstream in upstreams):
        yield (
            ("hooks", "token_exchange_callback"),
            "cannot be there while an [[upstream_signin]] has keep_tokens, which is a callback itself.",
        )


_OF_FRONT = frozenset(
    {"strip_prefix", "connect_timeout", "response_timeout", "idle_timeout", "max_connections", "max_message_bytes"}
)


def front_of(api: Api) -> dict[str, object]:
    """What `Front` takes beside the upstream."""
    return api.model_dump(include=set(_OF_FRONT))


def _wrong_apis(configuration: Configuration) -> Iterator[tuple[KeyPath, str]]:
    seen: set[str] = set()
    for number, api in enumerate(configuration.api):
        path: KeyPath = ("api", number, "prefix")
        if api.upstream is None and api.app is None and configuration.oauth.verify_endpoint is None:
            yield (
                ("api", number),
                "must have an upstream or an app, unless a proxy asks the verify_endpoint of [oauth].",
            )
        if api.upstream is not None and api.app is not None:
            yield ("api", number, "app"), "cannot be there together with upstream."
        for key in sorted(api.model_fields_set & _OF_FRONT if api.upstream is None else ()):
            yield ("api", number, key), "is for an upstream, and there is none."
        if api.prefix in seen:
            yield path, f"is taken: there are two [[api]] with the prefix {api.prefix}."
        elif api.prefix in HEALTH_PATHS:
            yield path, f"is taken: {api.prefix} tells how the server is."
        seen.add(api.prefix)


def _refused(configuration: Configuration) -> Iterator[tuple[KeyPath, str]]:
    """What the server itself says to all of it."""
    try:
        configure(
            issuer=configuration.server.issuer,
            prefixes=[api.prefix for api in configuration.api],
            resources=resources_of(configuration),
            **oauth_of(configuration),  # type: ignore[arg-type]  # each was validated under its name
        )
    except ConfigurationError as error:
        yield _place(error, configuration), str(error).removeprefix(f"{error.field}: ")


def _place(error: ConfigurationError, configuration: Configuration) -> KeyPath:
    if error.field in SECTIONS["oauth"].keys:
        return ("oauth", error.field)
    if error.field in SECTIONS["server"].keys:
        return ("server", error.field)
    # Of several resources the sentence names the one.
    for number, api in enumerate(configuration.api):
        if repr(api.prefix) in str(error):
            return ("api", number)
    for number, other in enumerate(configuration.resource):
        if repr(other.identifier) in str(error):
            return ("resource", number)
    return ("api",)


def _resource(described: Protected, *, identifier: str | None = None) -> Resource:
    implies: Mapping[str, tuple[str, ...]] = {scope: tuple(more) for scope, more in described.implies.items()}
    return Resource(scopes=dict(described.scopes), name=described.name, identifier=identifier, implies=implies)
