"""The strict reader of JSON objects (RFC 8259): what it accepts means the same to every parser and every database."""

from __future__ import annotations

import json
import re
from math import isinf
from typing import Any, NoReturn

from .media_types import reads_as

MAX_DEPTH = 8
MAX_MEMBERS = 256
MAX_INTEGER = 2**53 - 1  # the largest that JavaScript reads exactly (RFC 8259 section 6)

# A string, finished or not, or a bracket. Possessive, and without a way to fail behind a quote: so it is linear.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|[\[\]{}]', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_json(content_type: str | None) -> bool:
    """Whether a body with this `Content-Type` may be read as JSON: exactly the media type, in UTF-8."""
    return reads_as(content_type, "application/json")


def parse_object(raw: bytes) -> dict[str, Any]:
    """The object that `raw` spells. Raises ValueError with one sentence, which repeats nothing of the input."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise ValueError("The document is not UTF-8.") from None
    if text.startswith("\ufeff"):
        raise ValueError("The document begins with a byte order mark.")
    _check_depth(text)
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError:
        raise ValueError("The document is not JSON.") from None  # the cause would carry the document into a log
    if not isinstance(document, dict):
        raise ValueError("The document is not a JSON object.")
    _check_strings(document)
    return document


def _check_depth(text: str) -> None:
    # Before parsing, because the standard library's parser recurses.
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        if token[0] in ("{", "["):
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError("The document is nested too deeply.")
        elif token[0] in ("}", "]"):
            depth -= 1


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(members) > MAX_MEMBERS:
        raise ValueError("An object of the document has too many members.")
    document = dict(members)
    if len(document) < len(members):
        raise ValueError("An object of the document has two members of the same name.")
    return document


def _integer(text: str) -> int:
    if len(text) > len(str(-MAX_INTEGER)) or abs(value := int(text)) > MAX_INTEGER:
        raise ValueError("The document has an integer of more than 53 bits.")
    return value


def _number(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise ValueError("The document has a number that is too large.")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError("The document has a number that is not one.")


def _check_strings(value: object) -> None:
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise ValueError("A string of the document has a NUL or half a surrogate pair.")
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_strings(name)
            _check_strings(member)
