"""Which headers pass the front, and which it says itself (RFC 9110 section 7.6.1, RFC 7239)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .._http.identity import is_identity_header, read_leniently
from .failures import NoAnswer, Unacceptable

Headers = list[tuple[bytes, bytes]]

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t -~\x80-\xff]*")
_HOP_BY_HOP = frozenset(
    {b"connection", b"http2-settings", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
# The front says these itself, or nobody may: some applications believe the last three more than the request line.
_NOT_OF_THE_CLIENT = frozenset(
    {b"authorization", b"content-length", b"expect", b"forwarded", b"host", b"x-real-ip"}
    | {b"x-original-uri", b"x-original-url", b"x-rewrite-url"}
)
# The server in front says these itself.
_NOT_OF_THE_UPSTREAM = frozenset({b"date", b"server"})
_COOKIES_OF_SIGN_IN = (b"__host-grantwell", b"__secure-grantwell", b"grantwell-")


@dataclass(frozen=True, slots=True)
class Origin:
    """How a request came to this server: from which address, and to which scheme, host and prefix that it is known by.

    `address` is None where the server does not tell, `prefix` "" where nothing was stripped.
    """

    address: str | None
    scheme: str
    authority: str
    prefix: str


def request_headers(given: Iterable[tuple[bytes, bytes]], *, websocket: bool = False) -> Headers:
    """What of a client's headers is sent on. Raises Unacceptable for one that is not well-formed."""
    headers = [(name.lower(), value) for name, value in given]
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise Unacceptable("a header of the request is not well-formed")
    nominated = _nominated(headers)
    kept: Headers = []
    for name, value in headers:
        plain = read_leniently(name)
        if _is_hop_by_hop(plain) or name in nominated or plain in _NOT_OF_THE_CLIENT or is_identity_header(name):
            continue
        if plain.startswith((b"x-forwarded-", b"sec-websocket-") if websocket else b"x-forwarded-"):
            continue
        if name == b"cookie":
            value = _without_our_cookies(value)
            if not value:
                continue
        kept.append((name, value))
    return kept


def origin_headers(origin: Origin) -> Headers:
    """What the server itself knows of where a request came from, in both ways to say it."""
    forwarded = [f'host="{origin.authority}"', f"proto={origin.scheme}"]
    headers = {"x-forwarded-proto": origin.scheme, "x-forwarded-host": origin.authority}
    if origin.address is not None:
        headers["x-forwarded-for"] = origin.address
        forwarded.insert(0, f'for="[{origin.address}]"' if ":" in origin.address else f"for={origin.address}")
    if origin.prefix:
        headers["x-forwarded-prefix"] = origin.prefix
    headers["forwarded"] = ";".join(forwarded)
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


def answer_headers(given: Iterable[tuple[bytes, bytes]], status: int) -> Headers:
    """What of the upstream's headers is sent on. Raises NoAnswer for one that is not well-formed."""
    headers = [(name.lower(), value) for name, value in given]
    nominated = _nominated(headers)
    kept: Headers = []
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise NoAnswer("a header of the answer is not well-formed")
        if _is_hop_by_hop(name) or name in nominated or name in _NOT_OF_THE_UPSTREAM:
            continue
        if name == b"content-length" and status in (204, 304):
            # It tells of a body that is not sent, and servers take it for one that is (RFC 9110 section 8.6).
            continue
        if name == b"set-cookie" and _is_ours(value):
            continue
        kept.append((name, value))
    return kept


def _is_hop_by_hop(name: bytes) -> bool:
    return name in _HOP_BY_HOP or name.startswith(b"proxy-")


def _nominated(headers: Headers) -> frozenset[bytes]:
    """The headers that a Connection header takes for this hop alone."""
    return frozenset(
        item.strip(b" \t").lower() for name, value in headers if name == b"connection" for item in value.split(b",")
    )


def _without_our_cookies(value: bytes) -> bytes:
    cookies = [cookie.strip(b" \t") for cookie in value.split(b";")]
    return b"; ".join(cookie for cookie in cookies if cookie and not _is_ours(cookie))


def _is_ours(cookie: bytes) -> bool:
    """Whether a cookie belongs to the pages where people sign in."""
    return cookie.partition(b"=")[0].strip(b" \t\"'").lower().startswith(_COOKIES_OF_SIGN_IN)
