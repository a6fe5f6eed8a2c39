"""One strict reader of http and https URLs (RFC 3986): ASCII, absolute, without user info; nothing is normalised.

And what a sender's address tells about who sends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network, ip_address

MAX_URL_LENGTH = 2048

_PATH = r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*)?"
_QUERY = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*"
_HTTP_URL = re.compile(
    r"(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.\-_]{0,252}))"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    rf"(?P<path>{_PATH})"
    rf"(?:\?(?P<query>{_QUERY}))?"
    rf"(?:#(?P<fragment>{_QUERY}))?"
)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpUrl:
    """The parts of a URL as they were written; `query` and `fragment` are None when absent, "" when empty."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str | None
    fragment: str | None

    @property
    def origin(self) -> str:
        """Scheme, host and port in lower case, without a default port (RFC 6454)."""
        scheme = self.scheme.lower()
        port = "" if self.port in (None, _DEFAULT_PORTS[scheme]) else f":{self.port}"
        return f"{scheme}://{self.host.lower()}{port}"

    @property
    def is_https(self) -> bool:
        """Whether the scheme is https, in any case."""
        return self.scheme.lower() == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is one of the three spellings of this machine that OAuth knows (RFC 8252 section 7.3)."""
        return self.host in ("127.0.0.1", "[::1]", "localhost")

    @property
    def has_dot_segments(self) -> bool:
        """Whether a path segment is `.` or `..`, also percent-encoded, or carries path parameters behind dots."""
        segments = re.sub("%2[eE]", ".", re.sub("%2[fF]", "/", self.path)).split("/")
        return any(segment.split(";", 1)[0] in (".", "..") for segment in segments)


def parse_http_url(text: str) -> HttpUrl | None:
    """The parts of `text`, or None if it is not exactly one absolute http or https URL of at most 2,048 bytes."""
    if len(text) > MAX_URL_LENGTH:
        return None
    match = _HTTP_URL.fullmatch(text)
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    if (port is not None and port > 65535) or not _is_host(match["host"]):
        return None
    return HttpUrl(match["scheme"], match["host"], port, match["path"], match["query"], match["fragment"])


def _is_host(host: str) -> bool:
    if host.startswith("["):
        try:
            IPv6Address(host[1:-1])
        except AddressValueError:
            return False
        return True
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # Browsers read a host that ends in a number as an IPv4 address, however oddly it is written (WHATWG URL).
        try:
            IPv4Address(host)
        except AddressValueError:
            return False
    return all(0 < len(label) <= 63 for label in labels)


def network_of(address: str) -> str | None:
    """What one sender has for himself: an IPv4 address, or the 64 bits that every IPv6 customer is given.

    None for a text that is no address.
    """
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(IPv6Network((int(parsed), 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)
