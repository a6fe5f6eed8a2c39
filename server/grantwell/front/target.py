"""Where the upstream is, and which path of it a request is for."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from starlette.types import Scope

from .._outbound.tls import client_context
from .._urls import HttpUrl, parse_http_url
from ..errors import ConfigurationError
from .failures import Unacceptable

_DEFAULT_PORTS = {"http": 80, "https": 443}
# What a URL may hold in a path and a query; anything else could split the request line.
_TARGET = re.compile(rb"/[!-\"$-~]*")


@dataclass(frozen=True)
class Target:
    """An upstream. `base` is the path that stands before each request's own."""

    url: HttpUrl
    base: bytes

    @property
    def authority(self) -> str:
        """Host and port as they stand in a Host header."""
        return self.url.origin.partition("://")[2]

    @property
    def host(self) -> str:
        """The host to connect to."""
        return self.url.host.strip("[]")

    @property
    def port(self) -> int:
        """The port to connect to."""
        return self.url.port or _DEFAULT_PORTS[self.url.scheme.lower()]

    @cached_property
    def tls(self) -> ssl.SSLContext | None:
        """How its certificate is verified; None for plain http."""
        return client_context() if self.url.is_https else None

    def request_target(self, scope: Scope, stripped: str) -> bytes:
        """The path and query for the upstream: byte for byte those of the client, without the prefix `stripped`.

        Raises Unacceptable for bytes that no request line may hold.
        """
        path = _raw_path(scope)
        if stripped:
            path = _without(path, stripped)
        query: bytes = scope["query_string"]
        target = self.base + path + (b"?" + query if query else b"")
        if not _TARGET.fullmatch(target):
            raise Unacceptable("the path or query holds bytes that a request line must not")
        return target


def parse_target(upstream: str) -> Target:
    """The upstream that a URL names. Raises ConfigurationError."""
    url = parse_http_url(upstream)
    if url is None or url.query is not None or url.fragment is not None or url.has_dot_segments:
        raise ConfigurationError("upstream", f"must be an http or https URL without query, not {upstream!r}.")
    return Target(url, url.path.rstrip("/").encode("ascii"))


def _raw_path(scope: Scope) -> bytes:
    raw: bytes | None = scope.get("raw_path")
    return raw if raw is not None else quote(scope["path"], safe="/:@!$&'()*+,;=~").encode("ascii")


def _without(raw: bytes, prefix: str) -> bytes:
    """The raw path without as many bytes as the prefix has, each of which the client may have percent-encoded."""
    at = 0
    for _ in prefix.encode():
        at += 3 if raw[at : at + 1] == b"%" else 1
    return raw[at:] or b"/"
