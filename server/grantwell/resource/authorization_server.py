"""The authorization server, as a resource server elsewhere sees it: its metadata, its introspection endpoint."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus, urlencode

from .._protocol.json_documents import is_json, parse_object
from .._urls import HttpUrl, parse_http_url
from ..errors import ConfigurationError
from .connections import Connections, HttpAnswer, NoAnswer

log = logging.getLogger("grantwell")

DEADLINE_SECONDS = 5.0
REDISCOVERY_SECONDS = 2.0

_METADATA = "/.well-known/oauth-authorization-server"
_FORM = ("Content-Type", "application/x-www-form-urlencoded")
# The endpoint is not, or no longer, where it was said to be (RFC 9110 section 15.5).
_ELSEWHERE = frozenset({404, 405, 410})


class AuthorizationServer:
    """Asks the server with this issuer identifier about tokens, as the client with these credentials.

    `introspection_endpoint` is a URL, or None to find it in the issuer's metadata (RFC 8414). Raises
    ConfigurationError, which names the field.
    """

    def __init__(self, *, issuer: str, introspection_endpoint: str | None, client_id: str, client_secret: str) -> None:
        self._issuer = issuer
        self._issuer_url = _issuer_url(issuer)
        # "any terminating '/' MUST be removed" (RFC 8414 section 3.1)
        self._metadata_url = replace(self._issuer_url, path=_METADATA + self._issuer_url.path.rstrip("/"))
        self._authorization = ("Authorization", _basic(client_id, client_secret))
        self._client_id = client_id
        self._configured = None if introspection_endpoint is None else _endpoint_url(introspection_endpoint)
        self._connections: Connections | None = None
        self._discovering = asyncio.Lock()
        self._discover_again_at = 0.0

    async def discover(self) -> None:
        """Find the introspection endpoint, unless it is known; trouble is logged, and the next token tries again."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._endpoint()
        except (NoAnswer, TimeoutError) as error:
            log.warning("the introspection endpoint of %s is not known yet: %s", self._issuer, error or "no answer")

    async def introspect(self, token: str) -> dict[str, Any]:
        """What the server says of a token, in at most five seconds (RFC 7662 section 2). Raises NoAnswer."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                endpoint = await self._endpoint()
                form = urlencode({"token": token}).encode()
                answer = await endpoint.send("POST", (_FORM, self._authorization), form)
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {DEADLINE_SECONDS:g} seconds") from error
        if answer.status in (401, 403):
            log.error("the authorization server does not let client %r introspect tokens", self._client_id)
        if answer.status in _ELSEWHERE and self._connections is endpoint:
            self._wait_before_discovery()
            await self.close()
        return _document(answer)

    async def close(self) -> None:
        """End the connections to the server, and forget what was found; the next question begins anew."""
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.close()

    async def _endpoint(self) -> Connections:
        if self._connections is not None:
            return self._connections
        async with self._discovering:
            if self._connections is None:
                self._connections = Connections(self._configured or await self._discovered())
            return self._connections

    async def _discovered(self) -> HttpUrl:
        """The endpoint that the metadata names, at most one try in two seconds."""
        if asyncio.get_running_loop().time() < self._discover_again_at:
            raise NoAnswer("the metadata was no help a moment ago")
        connections = Connections(self._metadata_url)
        try:
            return self._named_endpoint(_document(await connections.send("GET")))
        except NoAnswer as error:
            self._wait_before_discovery()
            raise NoAnswer(f"metadata: {error}") from error
        finally:
            await connections.close()

    def _wait_before_discovery(self) -> None:
        self._discover_again_at = asyncio.get_running_loop().time() + REDISCOVERY_SECONDS

    def _named_endpoint(self, metadata: dict[str, Any]) -> HttpUrl:
        if metadata.get("issuer") != self._issuer:
            log.error("the metadata of %s is that of another issuer", self._issuer)
            raise NoAnswer("it is that of another issuer")
        endpoint = metadata.get("introspection_endpoint")
        url = parse_http_url(endpoint) if isinstance(endpoint, str) else None
        # What is served over https must not send credentials to an endpoint that is not.
        if (
            url is None
            or url.fragment is not None
            or not (url.is_https or (_is_local(url) and _is_local(self._issuer_url)))
        ):
            raise NoAnswer("it names no https introspection endpoint")
        return url


def _document(answer: HttpAnswer) -> dict[str, Any]:
    if answer.status != 200:
        raise NoAnswer(f"the answer has the status {answer.status}")
    if not is_json(answer.content_type):
        raise NoAnswer("the answer is not application/json")
    try:
        return parse_object(answer.body)
    except ValueError as error:
        raise NoAnswer(f"the answer is malformed: {error}") from None


def _basic(client_id: str, client_secret: str) -> str:
    """The credentials, each form-encoded before they are joined (RFC 6749 section 2.3.1)."""
    for field, value in (("client_id", client_id), ("client_secret", client_secret)):
        if not isinstance(value, str) or not value:
            raise ConfigurationError(field, "must be a string that is not empty.")
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def _issuer_url(issuer: str) -> HttpUrl:
    url = parse_http_url(issuer)
    if url is None or url.query is not None or url.fragment is not None or not (url.is_https or url.is_loopback):
        raise ConfigurationError(
            "issuer", f"must be an https URL without query and fragment (RFC 8414 section 2), not {issuer!r}."
        )
    return url


def _endpoint_url(endpoint: str) -> HttpUrl:
    url = parse_http_url(endpoint)
    if url is None or url.fragment is not None or not (url.is_https or url.is_loopback):
        raise ConfigurationError("introspection_endpoint", f"must be an https URL without fragment, not {endpoint!r}.")
    return url


def _is_local(url: HttpUrl) -> bool:
    return url.is_loopback and not url.is_https
