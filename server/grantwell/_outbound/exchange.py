"""One request and its answer (RFC 9110, RFC 9112): a plain GET, and nothing but a whole, plain, small 200."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import h11

from .failures import FetchFailed
from .freshness import seconds_to_keep
from .targets import Target
from .tls import TlsStream

MAX_HEADER_BYTES = 16_384

_READ_BYTES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A whole answer. `max_age` is the seconds it may be kept, 0 to 24 hours; None when the answer does not say.

    `content_type` is the field as it was sent, None if there was none or more than one.
    """

    body: bytes
    content_type: str | None
    max_age: int | None


async def ask(stream: TlsStream, target: Target, most_bytes: int) -> Fetched:
    """Send the request, read the answer. Raises FetchFailed, OSError.

    Refused are all statuses but 200, so redirections too, every content coding, more than 16 KiB of headers and more
    than `most_bytes` of body.
    """
    connection = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=MAX_HEADER_BYTES)
    await stream.send(connection.send(_request(target)))
    connection.send(h11.EndOfMessage())
    try:
        fields = _accepted_fields(await _read_head(connection, stream), most_bytes)
        body = await _read_body(connection, stream, most_bytes)
    except h11.RemoteProtocolError:
        # Its message quotes the answer.
        raise FetchFailed("its answer is no well-formed HTTP/1.1") from None
    content_types = fields.get("content-type", [])
    return Fetched(
        body=body,
        content_type=content_types[0] if len(content_types) == 1 else None,
        max_age=seconds_to_keep(fields),
    )


def _request(target: Target) -> h11.Request:
    return h11.Request(
        method="GET",
        target=target.request_target,
        headers=[
            ("Host", target.host_header),
            ("User-Agent", "grantwell"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ],
    )


async def _read_head(connection: h11.Connection, stream: TlsStream) -> h11.Response:
    room = MAX_HEADER_BYTES
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            return event
        if not isinstance(event, h11.InformationalResponse):
            if room == 0:
                raise FetchFailed(f"its answer has more than {MAX_HEADER_BYTES} bytes of headers")
            data = await stream.receive(min(room, _READ_BYTES))
            room -= len(data)
            connection.receive_data(data)


def _accepted_fields(response: h11.Response, most_bytes: int) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in response.headers:
        fields.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    if response.status_code != 200:
        raise FetchFailed(f"its answer has the status {response.status_code}")
    if _codings(fields.get("content-encoding", ())) - {"", "identity"}:
        raise FetchFailed("its answer is compressed")
    if "content-length" in fields:
        if "transfer-encoding" in fields:
            raise FetchFailed("its answer has two lengths")
        if int(fields["content-length"][0]) > most_bytes:
            raise FetchFailed(f"its answer is larger than {most_bytes} bytes")
    return fields


def _codings(values: Sequence[str]) -> set[str]:
    return {coding.strip(" \t").lower() for value in values for coding in value.split(",")}


async def _read_body(connection: h11.Connection, stream: TlsStream, most_bytes: int) -> bytes:
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive(_READ_BYTES))
        elif isinstance(event, h11.Data):
            if len(body) + len(event.data) > most_bytes:
                raise FetchFailed(f"its answer is larger than {most_bytes} bytes")
            body += event.data
        else:
            return bytes(body)
