"""Reading a request: its headers, its body within limits, its path and its sender, none of them believed too much."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from .._protocol.forms import MAX_FIELDS, Parameters, is_form, parse_parameters
from ..errors import OAuthError

MAX_BODY_BYTES = 64 * 1024
MAX_DROPPED_BYTES = 4 * 1024 * 1024
DROPPING_SECONDS = 0.5
MAX_QUERY_BYTES = 32 * 1024
BODY_DEADLINE_SECONDS = 10.0

_CLOSE = {"Connection": "close"}


class ClientDisconnected(ClientDisconnect):
    """The client left before its request was complete; nobody waits for an answer."""


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """The values of every header line of this (lower-case) name."""
    return [value for key, value in scope["headers"] if key == name]


def header_text(scope: Scope, name: bytes) -> str | None:
    """The one value of a header; None when it is absent, sent twice, or not ASCII."""
    values = header_values(scope, name)
    if len(values) != 1 or not values[0].isascii():
        return None
    return values[0].decode("ascii")


def route_path(scope: Scope) -> str:
    """The path below the prefix that the application is mounted at."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :]
    return path


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The body, counted as it arrives. Raises OAuthError 413 over 64 KiB, 408 after ten seconds; ClientDisconnected."""
    declared = header_text(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared[:20]) > MAX_BODY_BYTES:
        raise await _too_large(receive, int(declared[:20]))
    try:
        async with asyncio.timeout(BODY_DEADLINE_SECONDS):
            return await _read(receive)
    except TimeoutError as error:
        raise OAuthError(
            "invalid_request", "The request did not arrive in time.", status=408, headers=_CLOSE
        ) from error


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        chunks.append(chunk)
        is_last = not message.get("more_body", False)
        if size > MAX_BODY_BYTES:
            raise await _too_large(receive, 0 if is_last else size)
        if is_last:
            return b"".join(chunks)


async def _too_large(receive: Receive, expected: int) -> OAuthError:
    """The refusal, after the rest of the body was dropped, if it comes soon and is not endless.

    A client that is still sending would not see the answer, and a server whose application stops listening in the
    middle of a request would keep the connection: where the rest does not come, the connection is to be closed.
    """
    is_complete = expected == 0
    if 0 < expected <= MAX_DROPPED_BYTES:
        try:
            async with asyncio.timeout(DROPPING_SECONDS):
                is_complete = await _drop(receive)
        except TimeoutError:
            is_complete = False
    headers = None if is_complete else _CLOSE
    return OAuthError("invalid_request", "The request is too large.", status=413, headers=headers)


async def _drop(receive: Receive) -> bool:
    """Read what is left of a body, and keep nothing; whether it ended within the bound."""
    dropped = 0
    while dropped <= MAX_DROPPED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        dropped += len(message.get("body", b""))
        if not message.get("more_body", False):
            return True
    return False


async def read_form(scope: Scope, receive: Receive, *, most_fields: int = MAX_FIELDS) -> Parameters:
    """The parameters of an application/x-www-form-urlencoded body. Raises OAuthError `invalid_request`."""
    if not is_form(header_text(scope, b"content-type")):
        raise OAuthError("invalid_request", "The body must be application/x-www-form-urlencoded.")
    return parse_parameters(await read_body(scope, receive), most_fields=most_fields)


def read_query(scope: Scope) -> bytes:
    """The query. Raises OAuthError `invalid_request` over 32 KiB, whatever the server in front lets through."""
    query: bytes = scope["query_string"]
    if len(query) > MAX_QUERY_BYTES:
        raise OAuthError("invalid_request", "The request is too large.")
    return query


def client_address(scope: Scope, trusted_proxies: Iterable[IPv4Network | IPv6Network]) -> str | None:
    """The sender's IP address: the nearest one that is not a trusted proxy's; None where the server does not tell."""
    client = scope.get("client")
    if not client:
        return None
    proxies = tuple(trusted_proxies)
    hops = [
        hop.strip() for value in header_values(scope, b"x-forwarded-for") for hop in value.decode("latin-1").split(",")
    ]
    address: str = client[0]
    while hops and _is_among(address, proxies):
        address = hops.pop()
    return address if _is_address(address) else str(client[0])


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_among(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)
