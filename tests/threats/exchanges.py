"""A request as it went over the wire, and the answers as they came: nothing is repaired, merged or followed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.signin.browser import PageReader

_WITHOUT_BODY = (204, 304)
_REFERENCE = re.compile(rb"\b[0-9A-Z]{4}-[0-9A-Z]{4}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it is sent, with what its answer is compared with."""

    wire: bytes
    method: str
    path: str
    parameters: Mapping[str, str]
    redirect_uri: str
    tried_basic: bool
    suspicious: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. The names of its headers are in lower case, and a header that came twice is there twice."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes

    def all(self, name: str) -> list[str]:
        """The values of each header line of this name."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str | None:
        """The value of a header that may be there once at most."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} was sent {len(values)} times"
        return values[0] if values else None

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode()

    @property
    def without_occasion(self) -> bytes:
        """All of it but for when it was given, and the reference under which the log has it."""
        lines = (line for line in self.raw.split(b"\r\n") if not line.lower().startswith(b"date:"))
        return _REFERENCE.sub(b"", b"\r\n".join(lines))

    @property
    def is_page(self) -> bool:
        """Whether a browser would show it as a page."""
        return (self.get("content-type") or "").lower().startswith("text/html")

    @property
    def page(self) -> PageReader:
        """What a browser would make of the body."""
        return PageReader(self.text)

    @property
    def json(self) -> dict[str, Any]:
        """The object in the body; anything else fails the test."""
        document = json.loads(self.body)
        assert isinstance(document, dict), document
        return document

    @property
    def redirect(self) -> dict[str, str]:
        """The parameters of its Location, each of which must be there once."""
        pairs = parse_qsl(urlsplit(self.get("location") or "").query, keep_blank_values=True)
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)


def read_answers(raw: bytes, *, to_head: bool = False) -> list[Answer]:
    """Each answer in what a server sent until it closed the connection; fails the test for anything that is none."""
    answers = []
    while raw:
        head, found, rest = raw.partition(b"\r\n\r\n")
        assert found, f"half an answer: {raw[:200]!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = first.split(" ")
        assert version == "HTTP/1.1", first
        headers = tuple((name.lower(), value.strip(" ")) for name, _, value in (line.partition(":") for line in lines))
        length = _length(dict(headers), int(status), rest, to_head=to_head)
        body = _unchunked(rest[:length]) if ("transfer-encoding", "chunked") in headers else rest[:length]
        end = len(head) + 4 + length
        answers.append(Answer(int(status), headers, body, raw[:end]))
        raw = raw[end:]
    return answers


def _length(headers: dict[str, str], status: int, rest: bytes, *, to_head: bool) -> int:
    if to_head or status in _WITHOUT_BODY:
        return 0
    if "content-length" in headers:
        length = int(headers["content-length"])
        assert len(rest) >= length, f"{len(rest)} of {length} bytes came"
        return length
    if headers.get("transfer-encoding") == "chunked":
        return rest.index(b"0\r\n\r\n") + 5
    return len(rest)


def _unchunked(raw: bytes) -> bytes:
    body = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        body, raw = body + raw[: int(size, 16)], raw[int(size, 16) + 2 :]
    return body
