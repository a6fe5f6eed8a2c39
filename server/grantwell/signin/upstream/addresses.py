"""The URLs of an upstream: https, or http on this machine; and nothing in them that a reader could miss."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ...errors import ConfigurationError

_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(?:/[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*)?")
_MAX_LENGTH = 2048
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


def is_usable(url: object, *, query: bool = False) -> bool:
    """Whether it is an absolute https URL without user info or fragment; with a query only where that may be.

    http will do on this machine alone, where nobody else listens.
    """
    if not isinstance(url, str) or len(url) > _MAX_LENGTH:
        return False
    bare, mark, rest = url.partition("?")
    if (mark and not query) or "#" in rest or not rest.isascii() or not rest.isprintable() or " " in rest:
        return False
    if _URL.fullmatch(bare) is None:
        return False
    try:
        parts = urlsplit(bare)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return host is not None and (parts.scheme == "https" or host in _THIS_MACHINE)


def checked(field: str, url: object) -> str:
    """A URL of the configuration, without a slash at its end. Raises ConfigurationError, which names the field."""
    if not isinstance(url, str) or not is_usable(url):
        raise ConfigurationError(field, f"{url!r} is not an https URL without query and fragment.")
    return url.removesuffix("/")
