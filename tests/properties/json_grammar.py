"""JSON texts (RFC 8259), narrowed to those that mean the same to every reader and every database (decision D-18)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from tests.properties.scanning import DIGIT, HEXDIG, Reader, utf8

MAX_DEPTH = 8
MAX_MEMBERS = 256
MAX_INTEGER = 2**53 - 1

_BLANKS = frozenset(" \t\n\r")
_STRING_ENDS = frozenset('"\\')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS: tuple[tuple[str, Any], ...] = (("true", True), ("false", False), ("null", None))


class _NotJson(Exception):
    """The text is no sentence of the grammar."""


@lru_cache(maxsize=8)
def json_object(raw: bytes) -> dict[str, Any] | None:
    """The object that the bytes spell, or None. Remembered for a moment: a parser and its grammar ask in turn."""
    text = utf8(raw)
    if text is None:
        return None
    reader = Reader(text)
    try:
        value = _value(reader, 0)
    except _NotJson:
        return None
    return value if reader.ended and isinstance(value, dict) else None


def _value(reader: Reader, depth: int) -> Any:
    """`ws value ws`; `depth` is that of the arrays and objects around it."""
    reader.run(_BLANKS)
    if reader.literal("{"):
        value: Any = _members(reader, depth + 1)
    elif reader.literal("["):
        value = _items(reader, depth + 1)
    elif reader.literal('"'):
        value = _string(reader)
    else:
        value = _literal(reader)
    reader.run(_BLANKS)
    return value


def _members(reader: Reader, depth: int) -> dict[str, Any]:
    _check(depth <= MAX_DEPTH)
    members: dict[str, Any] = {}
    reader.run(_BLANKS)
    if reader.literal("}"):
        return members
    while True:
        reader.run(_BLANKS)
        _check(reader.literal('"'))
        name = _string(reader)
        reader.run(_BLANKS)
        _check(reader.literal(":") and name not in members and len(members) < MAX_MEMBERS)
        members[name] = _value(reader, depth)
        if reader.literal("}"):
            return members
        _check(reader.literal(","))


def _items(reader: Reader, depth: int) -> list[Any]:
    _check(depth <= MAX_DEPTH)
    items: list[Any] = []
    reader.run(_BLANKS)
    if reader.literal("]"):
        return items
    while True:
        items.append(_value(reader, depth))
        if reader.literal("]"):
            return items
        _check(reader.literal(","))


def _string(reader: Reader) -> str:
    """What follows the first quote; a pair of escapes that are surrogates is one character, and half a pair is none."""
    units: list[str] = []
    while True:
        plain = reader.before(_STRING_ENDS)
        _check(min(plain, default=" ") >= " ")
        units.extend(plain)
        if reader.literal('"'):
            break
        _check(reader.literal("\\"))
        character = _escape(reader)
        if units and 0xD800 <= ord(units[-1]) <= 0xDBFF and 0xDC00 <= ord(character) <= 0xDFFF:
            character = chr(0x10000 + (ord(units.pop()) - 0xD800 << 10) + ord(character) - 0xDC00)
        units.append(character)
    _check(not any(unit == "\0" or 0xD800 <= ord(unit) <= 0xDFFF for unit in units))
    return "".join(units)


def _escape(reader: Reader) -> str:
    for letter, character in _ESCAPES.items():
        if reader.literal(letter):
            return character
    _check(reader.literal("u"))
    digits = reader.take(4)
    _check(len(digits) == 4 and set(digits) <= HEXDIG)
    return chr(int(digits, 16))


def _literal(reader: Reader) -> Any:
    for spelling, value in _LITERALS:
        if reader.literal(spelling):
            return value
    return _number(reader)


def _number(reader: Reader) -> int | float:
    """`[ "-" ] int [ frac ] [ exp ]`; an integer has 53 bits at most, and no number is infinite."""
    sign = "-" if reader.literal("-") else ""
    whole = reader.run(DIGIT)
    _check(whole == "0" or (whole != "" and whole[0] != "0"))
    is_integer = True
    spelling = sign + whole
    if reader.literal("."):
        fraction = reader.run(DIGIT)
        _check(fraction != "")
        spelling, is_integer = f"{spelling}.{fraction}", False
    if reader.literal("e", any_case=True):
        sign = "-" if reader.literal("-") else ""
        reader.literal("" if sign else "+")
        exponent = reader.run(DIGIT)
        _check(exponent != "")
        spelling, is_integer = f"{spelling}e{sign}{exponent}", False
    if is_integer:
        _check(len(whole) <= 16 and int(whole) <= MAX_INTEGER)
        return int(spelling)
    number = float(spelling)
    _check(math.isfinite(number))
    return number


def _check(holds: bool) -> None:
    if not holds:
        raise _NotJson
