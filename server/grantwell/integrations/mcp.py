"""The MCP SDK: its tools find the caller by the SDK's own `get_access_token()`, and its sessions belong to a user.

`Authenticated` wraps a server that is behind Grantwell's guard. A server with the SDK's own `AuthSettings` takes a
token verifier instead: `GuardedTokenVerifier` behind the guard, `RemoteTokenVerifier` in a process of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware, get_access_token
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from starlette.types import ASGIApp, Receive, Scope, Send

from .. import InsufficientScope, OAuthError, Principal, require_scopes
from .._http.answers import challenge_answer, send_answer
from .._http.calls import Call, running_call
from .._http.requests import header_values
from ..config import Clock
from ..resource import RemoteTokens

__all__ = [
    "Authenticated",
    "GuardedTokenVerifier",
    "RemoteTokenVerifier",
    "User",
    "get_access_token",
]


class User(AuthenticatedUser):
    """The caller as the SDK knows one; `principal` is the same caller as Grantwell's."""

    def __init__(self, principal: Principal, token: AccessToken) -> None:
        super().__init__(token)
        self.principal = principal


class Authenticated:
    """An MCP server's ASGI application behind `OAuthProvider` or `ResourceServer`, told who calls in the SDK's terms.

    `get_access_token()` works in its tools, and a session answers nobody but the user and client that began it. A token
    without all of `scopes` is answered by 403, with a challenge that names them all.
    """

    def __init__(self, app: ASGIApp, scopes: Iterable[str] = ()) -> None:
        self._app = AuthContextMiddleware(app)
        self._scopes = tuple(scopes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope. Raises LookupError for a call that did not come through the guard."""
        if scope["type"] == "lifespan":
            await self._app.app(scope, receive, send)
            return
        call = _guarded_call()
        try:
            principal = require_scopes(*self._scopes)
        except InsufficientScope as error:
            # Not raised further: between here and the guard may be an application that makes a 500 of it.
            refusal = OAuthError("insufficient_scope", headers=error.headers)
            await send_answer(challenge_answer(call.resource, refusal), scope, receive, send)
            return
        token = _guarded_token(call, _credential(scope))
        await self._app({**scope, "user": User(principal, token)}, receive, send)


class GuardedTokenVerifier:
    """The SDK's `TokenVerifier` for a server behind `OAuthProvider` or `ResourceServer`, where the guard has verified.

    Nothing is asked twice. Without the guard in front no call gets through.
    """

    async def verify_token(self, token: str) -> AccessToken:
        """What the guard found out about the token. Raises LookupError for a call that did not come through it."""
        return _guarded_token(_guarded_call(), token)


class RemoteTokenVerifier:
    """The SDK's `TokenVerifier` for an MCP server in a process of its own, by introspection (RFC 7662).

    `resource` is the identifier of this server, the URL of its endpoint; a token for another one is refused. `settings`
    are the SDK's settings that fit. `client_id` and `client_secret` are its credentials at `issuer`, whose metadata
    names the introspection endpoint unless it is given. With `cache_seconds` (at most 60) a token is believed that
    long. Close it with `close`.

    Raises ConfigurationError, which names the field.
    """

    def __init__(
        self,
        *,
        resource: str,
        issuer: str,
        client_id: str,
        client_secret: str,
        introspection_endpoint: str | None = None,
        cache_seconds: int = 0,
        clock: Clock = time.time,
    ) -> None:
        self._tokens = RemoteTokens(
            resource=resource,
            issuer=issuer,
            client_id=client_id,
            client_secret=client_secret,
            introspection_endpoint=introspection_endpoint,
            cache_seconds=cache_seconds,
            clock=clock,
        )
        self.issuer = issuer
        self.resource = resource

    def settings(self, scopes: Iterable[str] = ()) -> AuthSettings:
        """The SDK's settings for this server. Each call needs all of `scopes`, and a token for this resource."""
        # As text: pydantic would end a bare origin with a slash, and clients compare issuers byte by byte.
        members = {"issuer_url": self.issuer, "resource_server_url": self.resource, "required_scopes": list(scopes)}
        return AuthSettings.model_validate(members | {"validate_token_resource": True})

    async def verify_token(self, token: str) -> AccessToken | None:
        """What the token stands for, None if it is not good here.

        Raises OAuthError `temporarily_unavailable` where nobody can tell: that is no reason to ask the user again.
        """
        try:
            principal = await self._tokens.verify(token)
        except OAuthError as error:
            if error.status >= 500:
                raise
            return None
        return _described(principal, token, principal.scopes, self.resource, {"iss": self.issuer})

    async def close(self) -> None:
        """End the connections to the authorization server."""
        await self._tokens.close()


def _guarded_token(call: Call, token: str) -> AccessToken:
    """The SDK's access token of a protected call; `scopes` are those of the token and those that they imply."""
    scopes = call.resource.with_implied(call.principal.scopes)
    return _described(call.principal, token, scopes, call.resource.identifier, {})


def _described(
    principal: Principal, token: str, scopes: Sequence[str], resource: str, claims: dict[str, Any]
) -> AccessToken:
    """`subject` is the user, None for a client that acts for itself; `claims` has what has no field of its own."""
    told = claims | {
        "sub": principal.user_id,
        "aud": list(principal.audience),
        "grant_id": principal.grant_id,
        "props": principal.props,
    }
    return AccessToken(
        token=token,
        client_id=principal.client_id or "",
        scopes=list(scopes),
        expires_at=principal.expires_at,
        resource=resource,
        subject=principal.user_id,
        claims={name: value for name, value in told.items() if value is not None},
    )


def _guarded_call() -> Call:
    call = running_call.get()
    if call is None:
        raise LookupError("this MCP server is not behind a guard: put it into api_handlers of an OAuthProvider")
    return call


def _credential(scope: Scope) -> str:
    """The access token of a request that the guard let through, which has exactly one."""
    (header,) = header_values(scope, b"authorization")
    return header.rpartition(b" ")[2].decode()
