"""A request before it is sent: its parts, so that each can be spoiled by itself, and what it looks like on the wire."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MAX_HEAD_BYTES = 16 * 1024
"""What HTTP servers read of request line and headers without complaint."""

Pairs = list[tuple[str, str]]


@dataclass(slots=True, kw_only=True)
class Draft:
    """A request. `body`, where it is given, is sent in the place of `form` or `document`.

    `is_odd` tells that an HTTP server in front may refuse it, `is_cut` that it ends before its body does.
    """

    method: str
    path: str
    query: Pairs = field(default_factory=list)
    headers: Pairs = field(default_factory=list)
    form: Pairs | None = None
    document: Any = None
    body: bytes | None = None
    is_odd: bool = False
    is_cut: bool = False

    def copy(self) -> Draft:
        """One that can be changed by itself."""
        return deepcopy(self)

    def has(self, header: str) -> bool:
        """Whether it has a header of this name."""
        return any(name.lower() == header.lower() for name, _ in self.headers)

    def content(self) -> bytes | None:
        """Its body, encoded."""
        if self.body is not None:
            return self.body
        if self.form is not None:
            return urlencode(self.form).encode()
        return None if self.document is None else json.dumps(self.document).encode()

    def encoded(self) -> bytes:
        """The bytes that are sent."""
        target = quote(self.path, safe="/%:@!$&'()*+,;=~-._{}|^`<>\"[]") + (
            f"?{urlencode(self.query)}" if self.query else ""
        )
        headers = list(self.headers)
        if not self.has("host"):
            headers.insert(0, ("Host", "as.test"))
        content = self.content()
        if content is not None:
            if not self.has("content-type"):
                headers.append(("Content-Type", FORM if self.form is not None else JSON))
            if not self.has("content-length") and not self.has("transfer-encoding"):
                headers.append(("Content-Length", str(len(content))))
        lines = [f"{self.method} {target} HTTP/1.1", *(f"{name}: {_in_one_line(value)}" for name, value in headers)]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        if len(head) > MAX_HEAD_BYTES:
            self.is_odd = True
        return head + (content or b"")


def _in_one_line(value: str) -> str:
    return "".join(c if c >= " " and c != "\x7f" else "?" for c in value).strip(" ")


def chunked(content: bytes) -> bytes:
    """The body in chunks (RFC 9112 section 7.1)."""
    pieces = [content[at : at + 1000] for at in range(0, len(content), 1000)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
