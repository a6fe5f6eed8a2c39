"""The server as one ASGI application: it owns the dispatch, so that nothing protected is reachable around the guard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from ._flows import housekeeping
from ._flows.context import Context, Hooks
from ._flows.issuers import checked_issuers
from ._http.answers import error_answer, not_found, send_answer
from ._http.authorization import OAuthHelpers
from ._http.endpoints import Endpoints
from ._http.guard import Guard
from ._http.lifespans import Lifespans, serve_lifespan
from ._http.paths import IrregularPath, Prefixes, Protected
from ._http.requests import header_values, route_path
from ._http.verify import Verification
from ._urls import parse_http_url
from .config import DAY, KNOWN_PRIVATE_USE_SCHEMES, Clock, Resource, Settings, configure
from .crypto import SecretKey
from .errors import ConfigurationError, OAuthError, StoreUnavailable
from .hooks import (
    ClientRegistrationCallback,
    ErrorEvent,
    ExternalTokenResolver,
    Hook,
    TokenExchangeCallback,
    TokenExchangePolicy,
    TrustedIssuer,
)
from .records import Event
from .store import Store

log = logging.getLogger("grantwell")


class OAuthProvider:
    """An OAuth 2.1 authorization server round your ASGI applications.

    `api_handlers` maps a path prefix to the application behind it, which is reached with a valid access token alone;
    `default_handler` gets everything else, the authorization endpoint included. Lifetimes are seconds; what each
    setting means and may be is checked at once. Raises ConfigurationError, which names the field.
    """

    def __init__(
        self,
        *,
        issuer: str,
        store: Store,
        api_handlers: Mapping[str, ASGIApp],
        secret_key: SecretKey,
        default_handler: ASGIApp | None = None,
        authorize_endpoint: str = "/authorize",
        token_endpoint: str = "/token",  # noqa: S107
        revocation_endpoint: str = "/revoke",
        introspection_endpoint: str | None = None,
        verify_endpoint: str | None = None,
        client_registration_endpoint: str | None = "/register",
        resources: Mapping[str, Resource] | None = None,
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
        trusted_issuers: Iterable[TrustedIssuer] = (),
        private_use_schemes: Iterable[str] = KNOWN_PRIVATE_USE_SCHEMES,
        trusted_proxies: Iterable[str] = (),
        clock: Clock | None = None,
        token_exchange_callback: TokenExchangeCallback | None = None,
        token_exchange_policy: TokenExchangePolicy | None = None,
        client_registration_callback: ClientRegistrationCallback | None = None,
        resolve_external_token: ExternalTokenResolver | None = None,
        on_error: Hook[ErrorEvent, OAuthError | None] | None = None,
        on_event: Hook[Event, None] | None = None,
    ) -> None:
        trusted = checked_issuers(trusted_issuers)
        settings = configure(
            issuer=issuer,
            prefixes=api_handlers,
            resources=resources,
            authorize_endpoint=authorize_endpoint,
            token_endpoint=token_endpoint,
            revocation_endpoint=revocation_endpoint,
            introspection_endpoint=introspection_endpoint,
            verify_endpoint=verify_endpoint,
            client_registration_endpoint=client_registration_endpoint,
            default_scopes=default_scopes,
            default_resources=default_resources,
            code_ttl=code_ttl,
            access_token_ttl=access_token_ttl,
            refresh_token_ttl=refresh_token_ttl,
            refresh_token_idle_ttl=refresh_token_idle_ttl,
            refresh_replay_window=refresh_replay_window,
            callback_timeout=callback_timeout,
            event_ttl=event_ttl,
            unused_client_ttl=unused_client_ttl,
            max_unused_clients=max_unused_clients,
            require_initial_access_token=require_initial_access_token,
            allow_client_management=allow_client_management,
            client_id_metadata_documents=client_id_metadata_documents,
            cimd_allowed_networks=cimd_allowed_networks,
            allow_token_exchange=allow_token_exchange,
            trusts_issuers=bool(trusted),
            private_use_schemes=private_use_schemes,
            trusted_proxies=trusted_proxies,
            **({} if clock is None else {"clock": clock}),
        )
        _check_parts(api_handlers, default_handler, secret_key)
        self._context = Context.of(
            settings,
            store,
            secret_key,
            Hooks(
                token_exchange=token_exchange_callback,
                client_registration=client_registration_callback,
                resolve_external_token=resolve_external_token,
                token_exchange_policy=token_exchange_policy,
                trusted_issuers=trusted,
                on_error=on_error,
                on_event=on_event,
            ),
        )
        self.helpers = OAuthHelpers(self._context)
        self._endpoints = Endpoints(self._context)
        self._guard = Guard(self._context)
        self._default: ASGIApp = default_handler or _nothing
        self._prefixes = Prefixes(
            Protected(resource, api_handlers[resource.prefix])
            for resource in settings.resources
            if resource.prefix is not None
        )
        self._verification = Verification(self._context, self._prefixes, self._guard)
        self._lifespans = Lifespans([*api_handlers.values(), self._default])
        self._opening: asyncio.Task[None] | None = None
        self._is_open = False

    @property
    def settings(self) -> Settings:
        """The settings, completed and checked."""
        return self._context.settings

    @asynccontextmanager
    async def running(self) -> AsyncIterator[OAuthProvider]:
        """The time of serving: opens the store and runs the lifespans of the wrapped applications.

        A server does this by the ASGI lifespan protocol. An application that mounts this one below a prefix does it
        in its own lifespan. Raises SchemaError, StoreUnavailable, or what a wrapped application raises.
        """
        await self._open()
        try:
            await self._lifespans.start()
            try:
                async with housekeeping.going_on(self._context):
                    yield self
            finally:
                await self._lifespans.stop()
        finally:
            self._guard.open_calls.close()
            await self._endpoints.drain()
            await self._context.uses.flush(self._context.store)
            await self._context.audit.close(self._context.store)
            self._is_open = False
            await self._context.store.close()

    async def _open(self) -> None:
        """Open the store once, however many requests arrive before it is open."""
        if self._is_open:
            return
        if self._opening is None or self._opening.done():
            self._opening = asyncio.get_running_loop().create_task(self._open_store())
        # Shielded: the request that happens to be first may be given up, and others wait for the same.
        await asyncio.shield(self._opening)

    async def _open_store(self) -> None:
        await self._context.store.open()
        self._is_open = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope: http, websocket or lifespan."""
        if scope["type"] == "lifespan":
            await serve_lifespan(self.running(), receive, send)
        elif scope["type"] in ("http", "websocket"):
            await self._serve(scope, receive, send)
        else:
            raise RuntimeError(f"unknown ASGI scope type: {scope['type']!r}")

    async def well_known(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application for `/.well-known/oauth-*` of the origin, where this one is mounted below a prefix."""
        await self._endpoints.well_known(scope["path"], scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_open or await self._can_open(scope, receive, send):
            await self._route(route_path(scope), scope)(scope, receive, send)

    def _route(self, path: str, scope: Scope) -> ASGIApp:
        """Who answers this request. Nothing below a protected prefix has a way past the guard."""
        if not self._is_for_us(scope):
            return self._refusal("The Host header is not of this server.", status=421)
        if self._endpoints.serves(path):
            return partial(self._endpoints, path)
        if self._endpoints.serves_well_known(path):
            return partial(self._endpoints.well_known, path)
        if path == self.settings.verify_endpoint:
            return self._verification
        try:
            protected = None if path == self.settings.authorize_endpoint else self._prefixes.find(path, scope)
        except IrregularPath:
            return self._refusal("The path is not written plainly.", status=400)
        if protected is None:
            return partial(self._pass_on, self._default)
        state = self._state_for(protected.app, scope)
        return partial(self._guard, protected.resource, protected.app, state)

    async def _pass_on(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": self._state_for(app, scope)}, receive, send)

    def _refusal(self, description: str, *, status: int) -> ASGIApp:
        async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
            error = OAuthError("invalid_request", description, status=status)
            await send_answer(await error_answer(self._context, error, endpoint=""), scope, receive, send)

        return refuse

    async def _can_open(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Open the store for a server that runs no lifespan; answers 503 where it cannot be opened."""
        try:
            await self._open()
        except StoreUnavailable as error:
            unavailable = OAuthError("temporarily_unavailable", reason=str(error))
            answer = await error_answer(self._context, unavailable, endpoint=route_path(scope))
            await send_answer(answer, scope, receive, send)
            return False
        return True

    def _state_for(self, app: ASGIApp, scope: Scope) -> dict[str, Any]:
        return {**scope.get("state", {}), **self._lifespans.state_of(app), "oauth": self.helpers}

    def _is_for_us(self, scope: Scope) -> bool:
        """On a loopback issuer: whether the Host is of this machine, for a page elsewhere may have rebound its name."""
        if not self.settings.issuer_url.is_loopback:
            return True
        hosts = header_values(scope, b"host")
        return len(hosts) == 1 and _is_of_this_machine(hosts[0])


def _check_parts(api_handlers: Mapping[str, ASGIApp], default_handler: ASGIApp | None, secret_key: SecretKey) -> None:
    for prefix, app in api_handlers.items():
        if not callable(app):
            raise ConfigurationError("api_handlers", f"what {prefix!r} leads to is not an ASGI application.")
    if default_handler is not None and not callable(default_handler):
        raise ConfigurationError("default_handler", "is not an ASGI application.")
    if not isinstance(secret_key, SecretKey):
        raise ConfigurationError("secret_key", "must be a SecretKey: SecretKey.file(path) makes one and keeps it.")


@lru_cache(maxsize=64)
def _is_of_this_machine(host: bytes) -> bool:
    url = parse_http_url(f"http://{host.decode('latin-1')}")
    return url is not None and url.is_loopback and url.path == ""


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] in ("http", "websocket"):
        await send_answer(not_found(), scope, receive, send)
