"""What a thief can make of stolen values: every string inside, every encoding, and tokens forged in the right form."""

from __future__ import annotations

import base64
import json
import re
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from urllib.parse import unquote

from ..._protocol import tokens

MOST_CHARACTERS = 4096
"""A longer text is not tried as a whole, only by its parts; the longest credentials, signed assertions, are shorter."""

_MOST_BYTES = MOST_CHARACTERS // 2
_SHORTEST_RUN = 20
_LONGEST_RUN = 200
_MOST_GRANT_IDS = 4
_MOST_FAMILIES = 4

_RUN = re.compile(rb"[\x21-\x7e]{20,}")
_WORDS = (re.compile(r"[A-Za-z0-9\-._~+/]{20,200}=*"), re.compile(r"[A-Za-z0-9\-_]{20,200}"))
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){16,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/\-_]{22,}={0,2}")
_TOKEN_START = re.compile(r"gw[a-z]_")
_GRANT_ID = re.compile(r"[A-Za-z0-9\-_]{16}")


class Rank(IntEnum):
    """How near a text is to what was found; the nearer ones are tried first."""

    TOKEN = 0
    VALUE = 1
    ENCODED = 2
    PIECE = 3
    FORGED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What lies together: a row of a table or a line of a log. `cells` are places with values, `ids` what it names."""

    cells: tuple[tuple[str, object], ...]
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """One text to try, and where the value was that it was made of."""

    rank: Rank
    text: str
    place: str


def grant_ids_in(row: Row) -> list[str]:
    """What may be the id of a grant in a row."""
    values = [value for _, value in row.cells] + list(row.ids)
    return [value for value in values if isinstance(value, str) and _GRANT_ID.fullmatch(value)]


def texts_of_row(row: Row, *, rank: Rank = Rank.VALUE, grant_ids: Sequence[str] = ()) -> Iterator[Text]:
    """Everything that can be made of a row; `rank` is that of its values as they stand.

    `grant_ids` are for tokens forged of a row that has none of its own.
    """
    raw: list[tuple[str, bytes]] = []
    for place, value in row.cells:
        for content_rank, content in _contents(value, rank):
            if isinstance(content, bytes):
                raw.append((place, content))
                yield from (Text(Rank.ENCODED, text, place) for text in encoded(content))
                continue
            yield Text(content_rank, content, place)
            if content_rank == Rank.VALUE:
                yield Text(Rank.ENCODED, base64.b64encode(content.encode("utf-8", "replace")).decode(), place)
            yield from (Text(Rank.PIECE, part, place) for part in _parts(content))
    grant_ids = grant_ids_in(row) or grant_ids
    families = [value for _, value in raw if len(value) == tokens.FAMILY_BYTES]
    for place, content in raw:
        yield from (Text(Rank.FORGED, text, place) for text in forged(content, grant_ids, families))


def texts_of_bytes(data: bytes, place: str) -> Iterator[Text]:
    """The printable runs of raw bytes, of 20 to 200 characters, and their parts."""
    for run in _RUN.findall(data):
        text = run.decode("ascii")
        if len(text) <= _LONGEST_RUN:
            yield Text(Rank.PIECE, text, place)
        yield from (Text(Rank.PIECE, part, place) for part in _parts(text))


def runs_of(line: bytes) -> Iterator[str]:
    """The printable runs of a line of a log."""
    yield from (run.decode("ascii") for run in _RUN.findall(line))


def encoded(value: bytes) -> Iterator[str]:
    """Bytes, written down in each usual encoding."""
    if not 0 < len(value) <= _MOST_BYTES:
        return
    yield value.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(value).decode("ascii")
        yield from (text, text.rstrip("="))


def forged(value: bytes, grant_ids: Iterable[str], families: Iterable[bytes]) -> Iterator[str]:
    """Tokens of our form, with the right checksum, whose random part is the first or the last 32 bytes of a value."""
    size = tokens.SECRET_BYTES
    if len(value) < size:
        return
    for random in dict.fromkeys((value[:size], value[-size:])):
        yield tokens.format_client_secret(random)
        yield tokens.format_initial_access_token(random)
        yield tokens.format_registration_access_token(random)
        own = (bytes(tokens.FAMILY_BYTES), random[: tokens.FAMILY_BYTES], *families)
        for grant_id in list(dict.fromkeys(grant_ids))[:_MOST_GRANT_IDS]:
            yield tokens.format_access_token(grant_id, random)
            yield tokens.format_code(grant_id, random)
            for family in list(dict.fromkeys(own))[:_MOST_FAMILIES]:
                yield tokens.format_refresh_token(grant_id, family, random)


def tokens_in(text: str) -> Iterator[str]:
    """What has the form of a token of ours, with the right checksum, anywhere in a text."""
    for start in _TOKEN_START.finditer(text):
        for length in _LENGTHS:
            candidate = text[start.start() : start.start() + length]
            if tokens.parse_token(candidate) is not None:
                yield candidate


_LENGTHS = tuple(sorted({len(token) for token in forged(bytes(tokens.SECRET_BYTES), ["A" * 16], [])}))


def _contents(value: object, rank: Rank) -> Iterator[tuple[Rank, str | bytes]]:
    """A value and what is inside it: as text where it is text, else as bytes."""
    if isinstance(value, bytes):
        text = _printable(value)
        if text is not None:
            yield from _contents(text, rank)
        yield Rank.ENCODED, value
        yield from ((Rank.PIECE, run) for run in runs_of(value) if run != text)
    elif isinstance(value, str):
        yield rank, value
        for raw in _decoded(value):
            text = _printable(raw)
            yield Rank.ENCODED, raw if text is None else text
        if value[:1] in ("{", "["):
            for leaf in _leaves(value):
                yield from _contents(leaf, rank)
    elif value is not None:
        yield rank, str(value)


def _parts(text: str) -> Iterator[str]:
    yield from tokens_in(text)
    if len(text) < _SHORTEST_RUN:
        return
    for spelled in {text, unquote(text)}:
        yield from (word for words in _WORDS for word in words.findall(spelled) if word != text)


def _printable(value: bytes) -> str | None:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if text and text.isprintable() else None


def _decoded(text: str) -> Iterator[bytes]:
    if len(text) > MOST_CHARACTERS:
        return
    if _HEX.fullmatch(text):
        yield bytes.fromhex(text)
    elif _BASE64.fullmatch(text):
        plain = text.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            yield base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        except Base64Error:
            return


def _leaves(text: str) -> Iterator[Any]:
    try:
        waiting = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while waiting:
        member = waiting.pop()
        if isinstance(member, dict):
            waiting += [*member.keys(), *member.values()]
        elif isinstance(member, list):
            waiting += member
        elif not isinstance(member, bool):
            yield member
