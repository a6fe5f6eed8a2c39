"""The resource server as one ASGI application: whatever is below its identifier is reached with a token alone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from .._http.answers import json_answer, metadata_answer, not_found, rendered, send_answer
from .._http.bearer_guard import BearerGuard
from .._http.lifespans import Lifespans, serve_lifespan
from .._http.paths import IrregularPath, Prefixes, Protected
from .._protocol.discovery import protected_resource_metadata
from ..config import Clock
from ..errors import ConfigurationError, OAuthError
from .tokens import RemoteTokens

_WELL_KNOWN = ("/.well-known/oauth-", "/.well-known/openid-configuration")


class ResourceServer:
    """An ASGI application, protected by access tokens that another server issues (RFC 6750, RFC 7662).

    `resource` is the identifier that the authorization server knows it by. The path in it is protected, as it stands
    in `scope["path"]`; outside of it there is nothing but the resource's metadata (RFC 9728). `issuer` is the
    authorization server's identifier; `introspection_endpoint` the URL where it tells about tokens, found in its
    metadata when not given; `client_id` and `client_secret` are this resource server's credentials there. `scopes`
    maps each scope to a description; `name` is for people.

    A revoked token is refused by the next request. With `cache_seconds` (at most 60) what was learnt of a token is
    believed that long, never beyond its end: revocation may then take as many seconds, and answers get faster.
    A call whose token nobody can judge now is answered by 503 without a challenge. So is one whose grant has props
    that do not fit: an answer has at most 64 KiB, objects of 256 members, integers of 53 bits, and props seven deep.

    Raises ConfigurationError, which names the field.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        resource: str,
        issuer: str,
        client_id: str,
        client_secret: str,
        introspection_endpoint: str | None = None,
        scopes: Mapping[str, str] | None = None,
        name: str | None = None,
        cache_seconds: int = 0,
        clock: Clock = time.time,
    ) -> None:
        if not callable(app):
            raise ConfigurationError("app", "is not an ASGI application.")
        self._app = app
        self._tokens = RemoteTokens(
            resource=resource,
            issuer=issuer,
            client_id=client_id,
            client_secret=client_secret,
            introspection_endpoint=introspection_endpoint,
            scopes=scopes,
            name=name,
            cache_seconds=cache_seconds,
            clock=clock,
        )
        self._resource = self._tokens.resource
        self._prefixes = Prefixes([Protected(self._resource, app)])
        self._document = json_answer(protected_resource_metadata(issuer, self._resource), headers=())
        self._guard = BearerGuard(self._tokens.verifier)
        self._lifespans = Lifespans([app])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ResourceServer]:
        """The time of serving: runs the lifespan of the wrapped application, and finds the introspection endpoint.

        A server does this by the ASGI lifespan protocol. An application that mounts this one below a prefix does it
        in its own lifespan. An authorization server that does not answer yet keeps nobody from starting. Raises what
        the wrapped application raises.
        """
        try:
            await self._lifespans.start()
            try:
                await self._tokens.discover()
                yield self
            finally:
                await self._lifespans.stop()
        finally:
            self._guard.open_calls.close()
            await self._tokens.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope: http, websocket or lifespan."""
        if scope["type"] == "lifespan":
            await serve_lifespan(self.running(), receive, send)
        elif scope["type"] in ("http", "websocket"):
            await self._route(scope)(scope, receive, send)
        else:
            raise RuntimeError(f"unknown ASGI scope type: {scope['type']!r}")

    def _route(self, scope: Scope) -> ASGIApp:
        """Who answers this request. Nothing below the protected path has a way past the guard."""
        path: str = scope["path"]
        if path.startswith(_WELL_KNOWN):
            document = self._document if path == self._resource.metadata_path else None
            return partial(send_answer, metadata_answer(document, scope), cors=True)
        try:
            protected = self._prefixes.find(path, scope)
        except IrregularPath:
            irregular = OAuthError("invalid_request", "The path is not written plainly.", status=400)
            return partial(send_answer, rendered(irregular))
        if protected is None:
            return partial(send_answer, not_found())
        state = {**scope.get("state", {}), **self._lifespans.state_of(self._app)}
        return partial(self._guard, self._resource, self._app, state)
