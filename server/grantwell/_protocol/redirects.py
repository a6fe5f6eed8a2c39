"""Redirect URIs: which may be registered, which one matches, and the URL of an answer (RFC 6749 section 3.1.2).

A redirect URI is compared and sent as the bytes it was registered with; nothing is decoded or normalised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote_plus

from .._urls import MAX_URL_LENGTH, HttpUrl, parse_http_url
from ..errors import ClientMetadataError

# The names an authorization response may carry (RFC 6749, RFC 9207, OpenID Connect): registered in a query, they
# would appear twice in the answer, once with a value that is not ours.
_RESPONSE_NAMES = frozenset(
    {
        "access_token",
        "code",
        "error",
        "error_description",
        "error_uri",
        "expires_in",
        "id_token",
        "iss",
        "refresh_token",
        "response",
        "state",
        "token_type",
    }
)

_PRIVATE_USE = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.\-]{0,62}):"
    r"(?://[A-Za-z0-9.\-_]{0,253}(?::[1-9][0-9]{0,4})?(?P<behind>(?:[/?#].*)?)|(?P<path>/(?!/).*))"
)
_REVERSE_DOMAIN = re.compile(r"[a-z][a-z0-9\-]*(?:\.[a-z0-9\-]+)+")


def check_redirect_uri(uri: object, private_use_schemes: frozenset[str]) -> str:
    """The URI, unchanged. Raises ClientMetadataError `invalid_redirect_uri` unless it is one of three kinds:

    https; http to this machine in one of its three spellings; a private-use scheme that is a reversed domain name or
    one of `private_use_schemes` (RFC 8252 section 7). None has user info, a fragment, dot segments, a wildcard or a
    query that names a response parameter.
    """
    if not isinstance(uri, str):
        raise _refused("A redirect URI must be a string.")
    if len(uri) > MAX_URL_LENGTH:
        raise _refused("A redirect URI is longer than 2048 characters.")
    if uri.startswith(("https:", "http:")):
        url = parse_http_url(uri)
    else:
        url = _parse_private_use(uri, private_use_schemes)
    if url is None:
        raise _refused("A redirect URI must be https, http to 127.0.0.1, [::1] or localhost, or a private-use scheme.")
    if url.scheme == "http" and not url.is_loopback:
        raise _refused("A redirect URI may be http only to 127.0.0.1, [::1] or localhost.")
    if url.fragment is not None:
        raise _refused("A redirect URI must not have a fragment.")
    if url.has_dot_segments:
        raise _refused("A redirect URI must not have dot segments.")
    if "*" in uri:
        raise _refused("A redirect URI must not have wildcards.")
    if _names(url.query or "") & _RESPONSE_NAMES:
        raise _refused("A redirect URI must not have response parameters in its query.")
    return uri


def matching_redirect_uri(registered: Iterable[str], presented: str) -> bool:
    """Whether a request may use this URI: equal bytes, or equal but for the port on loopback (RFC 8252 section 7.3).

    It says nothing about the registered URI itself; `check_redirect_uri` does, again before each redirect.
    """
    candidates = tuple(registered)
    if presented in candidates:
        return True
    loopback = _loopback_without_port(presented)
    return loopback is not None and any(_loopback_without_port(uri) == loopback for uri in candidates)


def is_loopback(uri: str) -> bool:
    """Whether the URI is one of a native app that listens on this machine (RFC 8252 section 7.3)."""
    return _loopback_without_port(uri) is not None


def display_host(uri: str) -> str:
    """What a person is shown of an accepted redirect URI: host and port, or the scheme of a private-use one."""
    url = parse_http_url(uri)
    if url is None:
        return uri.partition(":")[0]
    return url.host if url.port is None else f"{url.host}:{url.port}"


def answer_url(redirect_uri: str, parameters: Mapping[str, str]) -> str:
    """The URL of an authorization response (RFC 6749 section 4.1.2): the registered bytes, then the parameters."""
    if "?" not in redirect_uri:
        separator = "?"
    else:
        separator = "" if redirect_uri.endswith(("?", "&")) else "&"
    pairs = (f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters.items())
    return redirect_uri + separator + "&".join(pairs)


def _parse_private_use(uri: str, private_use_schemes: frozenset[str]) -> HttpUrl | None:
    match = _PRIVATE_USE.fullmatch(uri)
    if match is None or not (_REVERSE_DOMAIN.fullmatch(match["scheme"]) or match["scheme"] in private_use_schemes):
        return None
    # Behind its authority, such a URI has the grammar of every other; the host is a stand-in.
    return parse_http_url("https://private-use" + (match["path"] or match["behind"] or ""))


def _names(query: str) -> frozenset[str]:
    # Some servers also split at semicolons and ignore case; what they would read must not pass here.
    return frozenset(unquote_plus(field.partition("=")[0]).lower() for field in re.split("[&;]", query))


def _loopback_without_port(uri: str) -> tuple[str, str, str | None] | None:
    url = parse_http_url(uri)
    if url is None or url.scheme != "http" or not url.is_loopback or url.fragment is not None:
        return None
    return url.host, url.path, url.query


def _refused(sentence: str) -> ClientMetadataError:
    return ClientMetadataError(sentence, code="invalid_redirect_uri")
