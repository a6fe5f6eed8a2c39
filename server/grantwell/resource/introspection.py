"""Verifying access tokens by asking who issued them (RFC 7662): at every call, or again after some seconds."""

from __future__ import annotations

import logging
from copy import deepcopy
from dataclasses import dataclass, replace
from hashlib import sha256

from .._http.answers import log_refusal
from .._protocol.tokens import parse_token
from ..config import Clock, ProtectedResource
from ..errors import OAuthError
from ..records import Principal
from .authorization_server import AuthorizationServer
from .claims import MalformedClaims, read_claims
from .connections import NoAnswer

log = logging.getLogger("grantwell")

MAX_REMEMBERED = 1000


class IntrospectedTokens:
    """The `TokenVerifier` of a resource server elsewhere. With 0 `cache_seconds` it asks at every call."""

    def __init__(self, server: AuthorizationServer, issuer: str, clock: Clock, cache_seconds: int) -> None:
        self._server = server
        self._issuer = issuer
        self._clock = clock
        self._cache = _Cache(cache_seconds) if cache_seconds else None

    def now(self) -> int:
        """Whole seconds since 1970 UTC."""
        return int(self._clock())

    async def verify(self, resource: ProtectedResource, credential: str, now: int) -> Principal:
        """Who presents this token at this resource. Raises OAuthError: `invalid_token`, `temporarily_unavailable`."""
        parsed = parse_token(credential)
        if parsed is not None and parsed.kind != "access":
            # A credential for somewhere else: nobody needs to see it on the way.
            raise OAuthError("invalid_token", reason=f"a {parsed.kind} is not an access token")
        if self._cache is None:
            return await self._introspected(resource, credential, now)
        principal = self._cache.get(credential, now)
        if principal is None:
            principal = await self._introspected(resource, credential, now)
            self._cache.add(credential, principal, now)
        return replace(principal, props=deepcopy(principal.props))

    async def _introspected(self, resource: ProtectedResource, credential: str, now: int) -> Principal:
        try:
            return read_claims(await self._server.introspect(credential), resource, self._issuer, now)
        except (NoAnswer, MalformedClaims) as error:
            log.warning("introspection failed: %s", error)
            raise OAuthError("temporarily_unavailable", reason=f"introspection: {error}") from error

    async def reviewed(self, error: OAuthError, resource: ProtectedResource) -> OAuthError:
        """The error itself, after it was logged."""
        log_refusal(error, resource.identifier)
        return error


@dataclass(frozen=True, slots=True)
class _Entry:
    principal: Principal
    since: int
    until: int


class _Cache:
    """The last tokens that were good, by their digests; each for `seconds`, and never beyond its end (RFC 7662 4)."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._entries: dict[bytes, _Entry] = {}

    def get(self, credential: str, now: int) -> Principal | None:
        entry = self._entries.get(_digest(credential))
        # From its beginning on: a clock that is set back must not make it last longer.
        return entry.principal if entry is not None and entry.since <= now < entry.until else None

    def add(self, credential: str, principal: Principal, now: int) -> None:
        digest = _digest(credential)
        self._entries.pop(digest, None)
        if len(self._entries) >= MAX_REMEMBERED:
            del self._entries[next(iter(self._entries))]
        until = now + self._seconds
        if principal.expires_at is not None:
            until = min(until, principal.expires_at)
        self._entries[digest] = _Entry(principal, now, until)


def _digest(credential: str) -> bytes:
    return sha256(credential.encode()).digest()
