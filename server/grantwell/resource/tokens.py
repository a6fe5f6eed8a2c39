"""The access tokens of one resource, verified by whoever issued them: for a guard, or for a framework with its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from .._resources import Resource, is_irregular, is_resource_identifier, protected_resources
from .._urls import parse_http_url
from ..config import Clock, ProtectedResource
from ..errors import ConfigurationError
from ..records import Principal
from .authorization_server import AuthorizationServer
from .introspection import IntrospectedTokens

MAX_CACHE_SECONDS = 60


class RemoteTokens:
    """Tells who presents an access token at a resource, by introspection (RFC 7662).

    It takes what `ResourceServer` takes, for applications that guard themselves. `resource` is the identifier that the
    authorization server knows the resource by, `client_id` and `client_secret` are its credentials there; with
    `cache_seconds` (at most 60) a token is believed that long. It belongs to the event loop that first uses it.

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
        scopes: Mapping[str, str] | None = None,
        name: str | None = None,
        cache_seconds: int = 0,
        clock: Clock = time.time,
    ) -> None:
        if type(cache_seconds) is not int or not 0 <= cache_seconds <= MAX_CACHE_SECONDS:
            raise ConfigurationError(
                "cache_seconds",
                f"must be a whole number of seconds from 0 to {MAX_CACHE_SECONDS}, not {cache_seconds!r}.",
            )
        self._server = AuthorizationServer(
            issuer=issuer,
            introspection_endpoint=introspection_endpoint,
            client_id=client_id,
            client_secret=client_secret,
        )
        self.resource = _protected_resource(resource, Resource(scopes={} if scopes is None else scopes, name=name))
        self.verifier = IntrospectedTokens(self._server, issuer, clock, cache_seconds)

    async def verify(self, token: str) -> Principal:
        """Who presents this token. Raises OAuthError: `invalid_token`, or `temporarily_unavailable` (status 503)."""
        return await self.verifier.verify(self.resource, token, self.verifier.now())

    async def discover(self) -> None:
        """Find the introspection endpoint now and not with the first token; trouble is logged."""
        await self._server.discover()

    async def close(self) -> None:
        """End the connections to the authorization server; the next token opens others."""
        await self._server.close()


def _protected_resource(identifier: str, described: Resource) -> ProtectedResource:
    url = parse_http_url(identifier)
    if url is None or not is_resource_identifier(identifier):
        raise ConfigurationError(
            "resource", f"must be an https URL without query and fragment, in lower case, not {identifier!r}."
        )
    path = url.path.rstrip("/")
    if "%" in path or "//" in path or is_irregular(path):
        raise ConfigurationError("resource", f"must have a plain path, not {url.path!r}.")
    try:
        (resource,) = protected_resources("", url, (), {identifier: described})
    except ConfigurationError as error:
        raise ConfigurationError("scopes", str(error).removeprefix(f"{error.field}: ")) from error
    return replace(resource, prefix=path)
