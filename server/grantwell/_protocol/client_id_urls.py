"""Client identifiers that are URLs of client ID metadata documents (draft-ietf-oauth-client-id-metadata-document)."""

from __future__ import annotations

import re

from .._urls import MAX_URL_LENGTH, HttpUrl, parse_http_url

# Controls and the backslash, percent-encoded: no document needs them, and what reads the URL next may decode them.
_ENCODED_ODDITY = re.compile(r"%(?:[01][0-9A-Fa-f]|5[Cc]|7[Ff])")


def is_client_id_url(client_id: str) -> bool:
    """Whether the identifier stands for a document to fetch, and is none that this server gave (section 3)."""
    return client_id.startswith("https://")


def check_client_id_url(client_id: str) -> HttpUrl:
    """The parts of the URL. Raises ValueError, with a reason for the log, unless it may identify a client (section 3).

    It has one spelling: scheme and host in lower case, no default port, no user info, fragment or dot segments, and a
    path, for the whole of a site is no client. A query is accepted: the draft advises clients against it, yet allows
    it, and identifiers are compared as strings, so that it cannot be mistaken.
    """
    if len(client_id) > MAX_URL_LENGTH:
        raise ValueError("the client_id is longer than 2048 bytes")
    url = parse_http_url(client_id)
    if url is None or not is_client_id_url(client_id):
        raise ValueError("the client_id is not an https URL")
    if url.host != url.host.lower():
        raise ValueError("the client_id has capital letters in its host")
    if url.port == 443:
        raise ValueError("the client_id names the default port")
    if url.fragment is not None:
        raise ValueError("the client_id has a fragment")
    if not url.path.strip("/"):
        raise ValueError("the client_id has no path")
    if url.has_dot_segments:
        raise ValueError("the client_id has dot segments")
    if _ENCODED_ODDITY.search(client_id):
        raise ValueError("the client_id has encoded control characters or backslashes")
    return url
