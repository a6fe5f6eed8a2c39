"""FastMCP: `FastMCP("notes", auth=…)`, with the caller in `get_access_token()` and in FastMCP's own checks of scopes.

`Grantwell` is for a server behind `OAuthProvider`, `RemoteGrantwell` for one in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from fastmcp.server.auth import AccessToken, AuthProvider, RemoteAuthProvider, TokenVerifier
from fastmcp.server.dependencies import get_access_token
from pydantic import AnyHttpUrl
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .. import OAuthError
from .mcp import Authenticated, GuardedTokenVerifier, RemoteTokenVerifier

__all__ = ["Grantwell", "RemoteGrantwell", "get_access_token"]


class Grantwell(AuthProvider):
    """FastMCP's auth for a server in `api_handlers` of an `OAuthProvider`, or behind a `ResourceServer`.

    These own discovery, registration, sign-in and the challenge, and have verified the token. A token without all of
    `scopes` is answered by 403 with a challenge that names them all. Without the guard in front no call gets through.
    """

    def __init__(self, scopes: Iterable[str] = ()) -> None:
        super().__init__(required_scopes=list(scopes))
        self._guarded = GuardedTokenVerifier()

    async def verify_token(self, token: str) -> AccessToken:
        """What the guard found out about the token. Raises LookupError for a call that did not come through it."""
        return AccessToken(**dict(await self._guarded.verify_token(token)))

    def get_middleware(self) -> list[Middleware]:
        """What tells the server who calls: the middleware of a FastMCP application."""
        return [Middleware(Authenticated, scopes=tuple(self.required_scopes))]


class RemoteGrantwell(RemoteAuthProvider):
    """FastMCP's auth for a server in a process of its own, whose tokens a Grantwell elsewhere issues (RFC 7662).

    `resource` is the URL of the MCP endpoint, path included, under which the authorization server knows it, and
    `client_id` and `client_secret` are this server's credentials there. `scopes` maps each scope to a description;
    `required_scopes` are those that every call needs. FastMCP serves the metadata of the resource (RFC 9728).

    Raises ConfigurationError, which names the field.
    """

    def __init__(
        self,
        *,
        resource: str,
        issuer: str,
        client_id: str,
        client_secret: str,
        scopes: Mapping[str, str] | None = None,
        required_scopes: Iterable[str] = (),
        name: str | None = None,
        introspection_endpoint: str | None = None,
        cache_seconds: int = 0,
    ) -> None:
        remote = RemoteTokenVerifier(
            resource=resource,
            issuer=issuer,
            client_id=client_id,
            client_secret=client_secret,
            introspection_endpoint=introspection_endpoint,
            cache_seconds=cache_seconds,
        )
        super().__init__(
            token_verifier=_Remote(remote, list(required_scopes)),
            # As text: pydantic would end a bare origin with a slash, and clients compare issuers byte by byte.
            authorization_servers=cast("list[AnyHttpUrl]", [issuer]),
            base_url=resource,
            scopes_supported=list(scopes or required_scopes),
            resource_name=name,
        )
        self._identifier = AnyHttpUrl(resource)
        self._remote = remote

    def get_middleware(self) -> list[Middleware]:
        """What verifies the token of a call; trouble of the authorization server is answered by 503."""
        return [Middleware(_Unavailable), *super().get_middleware()]

    def _get_resource_url(self, path: str | None = None) -> AnyHttpUrl:
        """The identifier as it was given: the path of the endpoint is in it."""
        return self._identifier

    async def close(self) -> None:
        """End the connections to the authorization server."""
        await self._remote.close()


class _Remote(TokenVerifier):
    def __init__(self, remote: RemoteTokenVerifier, required_scopes: list[str]) -> None:
        super().__init__(required_scopes=required_scopes)
        self._remote = remote

    async def verify_token(self, token: str) -> AccessToken | None:
        found = await self._remote.verify_token(token)
        return None if found is None else AccessToken(**dict(found))


class _Unavailable:
    """Answers 503 where nobody can tell whether a token is good: it is no reason to throw the token away."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except OAuthError as error:
            # It is raised before the call reaches the server, so nothing has been answered yet.
            members = {"error": error.code, "error_description": error.description}
            await JSONResponse(members, error.status, dict(error.headers))(scope, receive, send)
