"""The front as an ASGI application: it stands below a guard, and is nothing without one."""

from __future__ import annotations

import logging
from functools import lru_cache, partial

from starlette.types import Receive, Scope, Send

from .._http.answers import rendered, send_answer
from .._http.calls import Call, running_call
from .._http.identity import identity_headers
from .._http.lifespans import serve_lifespan
from .._http.requests import client_address, route_path
from .._urls import parse_http_url
from ..errors import ConfigurationError, OAuthError
from .connections import Connections
from .exchange import Exchange, Outgoing, Timeouts
from .failures import AnswerBroken, MethodRefused, NoAnswer
from .headers import Headers, Origin, origin_headers, request_headers
from .target import parse_target
from .websocket import Relay

log = logging.getLogger("grantwell")

# A tunnel, and an echo of what the front adds.
_REFUSED_METHODS = frozenset({"CONNECT", "TRACE"})


class Front:
    """Sends protected calls on to `upstream`, the URL of a server in any language, and its answers back.

    Put it into `api_handlers`. The upstream gets method, path, query, headers and body as the client sent them; no
    credential of this server, nor the cookie of its sign-in; and who calls in `X-Grantwell-User`, `-Client`, `-Grant`
    and `-Scopes`, which nobody else can set. With `strip_prefix` it gets the path without the prefix of the resource.

    Seconds: `connect_timeout` for a connection, `response_timeout` until the answer begins, `idle_timeout` between two
    pieces of a body (None for no end). `max_connections` may be open at a time; a websocket message has at most
    `max_message_bytes`. Raises ConfigurationError, which names the field.
    """

    def __init__(
        self,
        upstream: str,
        *,
        strip_prefix: bool = False,
        connect_timeout: float = 5.0,
        response_timeout: float = 60.0,
        idle_timeout: float | None = 300.0,
        max_connections: int = 500,
        max_message_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._target = parse_target(upstream)
        self._strip_prefix = strip_prefix
        self._timeouts = Timeouts(
            response=_positive("response_timeout", response_timeout),
            idle=None if idle_timeout is None else _positive("idle_timeout", idle_timeout),
        )
        self._connect_timeout = _positive("connect_timeout", connect_timeout)
        self._connections = Connections(
            self._target,
            most=int(_positive("max_connections", max_connections)),
            connect_timeout=self._connect_timeout,
        )
        self._max_message_bytes = int(_positive("max_message_bytes", max_message_bytes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope. Raises RuntimeError outside of a protected call."""
        if scope["type"] == "lifespan":
            await serve_lifespan(self._connections.running(), receive, send)
            return
        call = running_call.get()
        if call is None:
            raise RuntimeError("a Front stands below a guard: put it into api_handlers")
        try:
            if scope["type"] == "websocket":
                await self._relay(call, scope, receive, send)
            else:
                await self._exchange(call, scope, receive, send)
        except AnswerBroken as error:
            log.warning("an answer of the upstream %s is cut off: %s", self._target.authority, _printable(error))
            raise
        except NoAnswer as error:
            self._log(error)
            headers = {"Connection": "close"} if error.is_body_left else {}
            if isinstance(error, MethodRefused):
                headers["Allow"] = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
            refusal = OAuthError(error.code, error.description, status=error.status, headers=headers)
            await send_answer(rendered(refusal), scope, receive, send)

    def _log(self, error: NoAnswer) -> None:
        """What the client is not told; the faults of clients are no warning to anybody."""
        if error.status >= 500:
            log.warning("the upstream %s: %s", self._target.authority, _printable(error))
        else:
            log.info("not sent on to %s: %s", self._target.authority, _printable(error))

    async def _exchange(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in _REFUSED_METHODS:
            raise MethodRefused(f"the method is {scope['method']}")
        origin = self._origin(call, scope)
        outgoing = Outgoing(
            scope["method"],
            self._target.request_target(scope, origin.prefix),
            [
                (b"host", self._target.authority.encode("ascii")),
                *request_headers(scope["headers"]),
                *self._added_headers(call, origin),
            ],
        )
        rewrite = partial(self._rewritten, origin)
        await Exchange(self._connections, self._timeouts, rewrite, scope, receive, send).run(outgoing)

    async def _relay(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        origin = self._origin(call, scope)
        relay = Relay(self._target, max_message_bytes=self._max_message_bytes, open_timeout=self._timeouts.response)
        headers = [*request_headers(scope["headers"], websocket=True), *self._added_headers(call, origin)]
        async with self._connections.slot():
            await relay.run(self._target.request_target(scope, origin.prefix), headers, scope, receive, send)

    def _origin(self, call: Call, scope: Scope) -> Origin:
        """How the request came here; scheme and host are configuration, as a client may send any Host."""
        scheme, authority = _scheme_and_authority(call.resource.identifier)
        oauth = scope.get("state", {}).get("oauth")
        proxies = () if oauth is None else oauth.settings.trusted_proxies
        return Origin(client_address(scope, proxies), scheme, authority, self._stripped(call, scope))

    def _stripped(self, call: Call, scope: Scope) -> str:
        prefix, path = call.resource.prefix, scope["path"]
        if not self._strip_prefix or prefix in (None, "/"):
            return ""
        mounted_at = path[: len(path) - len(route_path(scope))]
        return f"{mounted_at}{prefix}"

    def _added_headers(self, call: Call, origin: Origin) -> Headers:
        scopes = call.resource.with_implied(call.principal.scopes)
        identity = [(name, value) for name, value in identity_headers(call.principal, scopes) if value]
        return [*origin_headers(origin), *identity]

    def _rewritten(self, origin: Origin, headers: Headers) -> Headers:
        """The answer's headers: a redirect to the upstream's own address leads to where the client knows it."""
        there = self._target.url.origin.encode("ascii") + self._target.base
        here = f"{origin.scheme}://{origin.authority}{origin.prefix}".encode("ascii")
        return [
            (name, here + value[len(there) :])
            if name == b"location" and (value == there or value.startswith((there + b"/", there + b"?")))
            else (name, value)
            for name, value in headers
        ]


@lru_cache(maxsize=64)
def _scheme_and_authority(identifier: str) -> tuple[str, str]:
    url = parse_http_url(identifier)
    if url is None:
        raise RuntimeError(f"the resource {identifier!r} is not a URL")
    scheme, _, authority = url.origin.partition("://")
    return scheme, authority


def _printable(error: Exception) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(error))


def _positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ConfigurationError(name, f"must be more than 0, not {value!r}.")
    return value
