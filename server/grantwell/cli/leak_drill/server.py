"""What a server says of itself: its endpoints and protected resources, by RFC 8414 and RFC 9728."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ...errors import GrantwellError
from .exchange import Exchange, Request

_SERVER_METADATA = "/.well-known/oauth-authorization-server"
_RESOURCE_METADATA = "/.well-known/oauth-protected-resource"


class NoServer(GrantwellError):
    """There is no authorization server at a URL, or one that cannot be drilled; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An authorization server. Its endpoints are absolute URLs of its own origin, None where it has none."""

    issuer: str
    authorization_endpoint: str | None
    token_endpoint: str
    introspection_endpoint: str | None
    registration_endpoint: str | None
    resources: tuple[str, ...]
    elsewhere: tuple[str, ...]
    """What it names at other origins; nothing is sent there."""

    @property
    def signin_page(self) -> str:
        """Where the sign-in pages that come with Grantwell are, if they are served."""
        return f"{self.issuer}/signin"


def discover(exchange: Exchange, url: str) -> Server:
    """The server at its issuer's URL, or the one that protects the resource there. Raises NoServer, Unanswered."""
    document = _metadata(exchange, _SERVER_METADATA, url)
    if document is None:
        resource = _metadata(exchange, _RESOURCE_METADATA, url)
        issuers = resource.get("authorization_servers") if resource else None
        if not isinstance(issuers, list) or not issuers or not isinstance(issuers[0], str):
            raise NoServer(f"There is no OAuth authorization server at {url}: it has no metadata (RFC 8414).")
        if not same_origin(issuers[0], url):
            raise NoServer(f"The authorization server of {url} is {issuers[0]}; give that URL.")
        url = issuers[0]
        document = _metadata(exchange, _SERVER_METADATA, url)
        if document is None:
            raise NoServer(f"There is no OAuth authorization server at {url}: it has no metadata (RFC 8414).")
    if document.get("issuer") != url:
        raise NoServer(f"The server at {url} calls itself {document.get('issuer')}; give that URL.")
    return _server(exchange, url, document)


def same_origin(url: str, other: str) -> bool:
    """Whether two URLs have scheme, host and port in common."""
    left, right = urlsplit(url), urlsplit(other)
    return (left.scheme, left.netloc.lower()) == (right.scheme, right.netloc.lower())


def target_of(url: str) -> str:
    """The part of a URL that a request to its origin names."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _server(exchange: Exchange, url: str, document: Mapping[str, Any]) -> Server:
    elsewhere: list[str] = []

    def own(endpoint: object) -> str | None:
        if not isinstance(endpoint, str):
            return None
        if not same_origin(endpoint, url):
            elsewhere.append(endpoint)
            return None
        return endpoint

    token_endpoint = own(document.get("token_endpoint"))
    if token_endpoint is None:
        raise NoServer(f"The server at {url} names no token endpoint of its own origin.")
    named = document.get("protected_resources")
    if not isinstance(named, list):
        named = [(_metadata(exchange, _RESOURCE_METADATA, url) or {}).get("resource")]
    return Server(
        issuer=url,
        authorization_endpoint=own(document.get("authorization_endpoint")),
        token_endpoint=token_endpoint,
        introspection_endpoint=own(document.get("introspection_endpoint")),
        registration_endpoint=own(document.get("registration_endpoint")),
        resources=tuple(resource for item in named if (resource := own(item)) is not None),
        elsewhere=tuple(elsewhere),
    )


def _metadata(exchange: Exchange, well_known: str, url: str) -> Mapping[str, Any] | None:
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    answer = exchange.send(Request(method="GET", target=well_known + path))
    if answer.status != 200:
        return None
    try:
        document = json.loads(answer.body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
