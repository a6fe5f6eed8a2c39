"""Resource indicators (RFC 8707): the `resource` parameter, resolved to an identifier of the settings."""

from __future__ import annotations

from collections.abc import Iterable

from .._urls import parse_http_url
from ..config import Settings
from ..errors import OAuthError


def parse_resource(text: str, settings: Settings) -> str:
    """The configured identifier that `text` names. Raises OAuthError `invalid_target` (RFC 8707 section 2).

    Scheme and host may be in upper case, a default port may be written, and `https://h/` is `https://h`; path and
    query are compared byte by byte.
    """
    if settings.resource(text) is not None:
        return text
    url = parse_http_url(text)
    if url is None or url.fragment is not None:
        raise OAuthError("invalid_target", "The resource must be an absolute URL without a fragment.")
    identifiers = [url.origin + url.path]
    if url.path in ("", "/"):
        identifiers.append(url.origin + ("/" if url.path == "" else ""))
    for identifier in identifiers:
        if url.query is None and settings.resource(identifier) is not None:
            return identifier
    raise OAuthError("invalid_target", "The requested resource is not known to this server.")


def parse_resources(values: Iterable[str], settings: Settings) -> tuple[str, ...]:
    """The configured identifiers that `values` name, each once, in order. Raises OAuthError `invalid_target`."""
    return tuple(dict.fromkeys(parse_resource(value, settings) for value in values))
