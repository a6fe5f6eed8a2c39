"""The members of client metadata that people read: names, links, contacts, software (RFC 7591 section 2).

All are the client's own claims. They are kept only if they can neither disguise themselves on a page or a terminal
nor lead anywhere but to an https site.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from .._urls import parse_http_url
from ..errors import ClientMetadataError

MAX_NAME_LENGTH = 100
MAX_TEXT_LENGTH = 255
MAX_CONTACTS = 10
MAX_TRANSLATIONS = 32

_LINKS = ("client_uri", "logo_uri", "tos_uri", "policy_uri")
_TEXTS = ("software_id", "software_version")
_APPLICATION_TYPES = ("native", "web")
_LANGUAGE_TAG = re.compile(r"[A-Za-z0-9]{1,8}(?:-[A-Za-z0-9]{1,8}){0,7}")
# Control, format (bidirectional, zero-width, tags), surrogate, private use, line and paragraph separator.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_LETTERS_WITHOUT_INK = "\u115f\u1160\u2800\u3164\uffa0"


def client_name(document: Mapping[str, Any]) -> str | None:
    """The name; None when there is none or nothing of it can be seen. Raises ClientMetadataError."""
    return _display_text("client_name", document["client_name"]) if "client_name" in document else None


def display_members(document: Mapping[str, Any]) -> dict[str, Any]:
    """The other display and software members worth keeping, translations included. Raises ClientMetadataError.

    A member without content is dropped, as is an `application_type` that OpenID Connect does not define and a
    translation whose language tag is not one.
    """
    kept: dict[str, Any] = {name: _link(name, document[name]) for name in _LINKS if name in document}
    kept |= {name: _text(name, document[name], MAX_TEXT_LENGTH) for name in _TEXTS if name in document}
    kept["contacts"] = _contacts(document)
    if _text("application_type", document.get("application_type", ""), MAX_TEXT_LENGTH) in _APPLICATION_TYPES:
        kept["application_type"] = document["application_type"]
    kept |= _translations(document)
    return {name: value for name, value in kept.items() if value}


def strings(name: str, value: object, most: int) -> list[str]:
    """The value of a member that must be an array of strings. Raises ClientMetadataError."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ClientMetadataError(f"{name} must be an array of strings.")
    if len(value) > most:
        raise ClientMetadataError(f"{name} must have no more than {most} values.")
    return list(value)


def https_url(name: str, value: object) -> str:
    """The value of a member that must be an https URL. Raises ClientMetadataError."""
    if isinstance(value, str):
        url = parse_http_url(value)
        if url is not None and url.is_https:
            return value
    raise ClientMetadataError(f"{name} must be an https URL.")


def _contacts(document: Mapping[str, Any]) -> list[str]:
    values = strings("contacts", document.get("contacts", []), MAX_CONTACTS)
    return [_text("contacts", value, MAX_TEXT_LENGTH) for value in values if value]


def _translations(document: Mapping[str, Any]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for member, value in document.items():
        name, _, tag = member.partition("#")
        if (name != "client_name" and name not in _LINKS) or not _LANGUAGE_TAG.fullmatch(tag):
            continue
        text = _link(name, value) if name in _LINKS else _display_text(name, value)
        if text:
            kept[member] = text
    if len(kept) > MAX_TRANSLATIONS:
        raise ClientMetadataError(f"There must be no more than {MAX_TRANSLATIONS} translated members.")
    return kept


def _display_text(name: str, value: object) -> str | None:
    text = _text(name, value, MAX_NAME_LENGTH)
    return text if any(not c.isspace() and c not in _LETTERS_WITHOUT_INK for c in text) else None


def _link(name: str, value: object) -> str:
    return "" if value == "" else https_url(name, value)


def _text(name: str, value: object, most: int) -> str:
    if not isinstance(value, str):
        raise ClientMetadataError(f"{name} must be a string.")
    if len(value) > most:
        raise ClientMetadataError(f"{name} must have no more than {most} characters.")
    if any(unicodedata.category(c) in _REFUSED_CATEGORIES for c in value):
        raise ClientMetadataError(f"{name} must not have control or invisible characters.")
    return value
