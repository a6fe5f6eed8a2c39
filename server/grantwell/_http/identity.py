"""Who calls, as headers for a program that knows no `request.user`: what the front sends on and `/verify` answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from ..records import Principal

_PREFIX = b"x-grantwell-"
_PUNCTUATION = re.compile(rb"[^a-z0-9]")
_NOT_VISIBLE = re.compile(rb"[^!-$&-~]")


@lru_cache(maxsize=1024)
def read_leniently(name: bytes) -> bytes:
    """The header name as the most lenient reader takes it: CGI and its heirs cannot tell `_`, `-` and `.` apart."""
    return _PUNCTUATION.sub(b"-", name.lower())


def is_identity_header(name: bytes) -> bool:
    """Whether some reader could take a header of this name for one of ours."""
    return read_leniently(name).startswith(_PREFIX)


def identity_headers(principal: Principal, scopes: Iterable[str]) -> tuple[tuple[bytes, bytes], ...]:
    """Who makes a call, in four headers; empty where there is nobody or nothing.

    `scopes` are those the token has and those that they include. Whatever is not visible ASCII, and the percent sign,
    is percent-encoded as UTF-8: no value can end a header, or be trimmed to that of somebody else.
    """
    return (
        (b"x-grantwell-user", _encoded(principal.user_id)),
        (b"x-grantwell-client", _encoded(principal.client_id)),
        (b"x-grantwell-grant", _encoded(principal.grant_id)),
        (b"x-grantwell-scopes", b" ".join(map(_encoded, scopes))),
    )


def _encoded(value: str | None) -> bytes:
    return _NOT_VISIBLE.sub(lambda match: b"%%%02X" % match[0][0], (value or "").encode("utf-8", "surrogatepass"))
