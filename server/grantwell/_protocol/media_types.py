"""What a `Content-Type` says, for the two media types that our endpoints read (RFC 9110 section 8.3.1)."""

from __future__ import annotations

import re

_MAX_LENGTH = 128
_UTF_8 = r"(?:[ \t]*;[ \t]*charset=(?:utf-8|\"utf-8\"))?"


def reads_as(content_type: str | None, media_type: str) -> bool:
    """Whether the header names exactly this media type, with no parameter other than `charset=utf-8`."""
    if content_type is None or len(content_type) > _MAX_LENGTH:
        return False
    # Without re.ASCII, ignoring case would also let look-alikes such as U+017F pass for a letter.
    return re.fullmatch(re.escape(media_type) + _UTF_8, content_type, re.ASCII | re.IGNORECASE) is not None


def is_json_document(content_type: str | None) -> bool:
    """Whether a fetched document says that it is JSON: `application/json` or `application/…+json`, in UTF-8."""
    if content_type is None or len(content_type) > _MAX_LENGTH:
        return False
    media_type = r"application/(?:json|[A-Za-z0-9!#$&\-^_.]+\+json)"
    return re.fullmatch(media_type + _UTF_8, content_type, re.ASCII | re.IGNORECASE) is not None
