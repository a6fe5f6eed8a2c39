"""What the grammars are written with: a position in a text, sets of characters as RFC 5234 names them, and verdicts.

The grammars are a second opinion on the parsers of the server. They use no regular expression and nothing of the
server, so that a mistake in one of the two shows itself as a difference.
"""

from __future__ import annotations

from dataclasses import dataclass

DIGIT = frozenset("0123456789")
LOWER = frozenset("abcdefghijklmnopqrstuvwxyz")
ALPHA = LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
HEXDIG = DIGIT | frozenset("ABCDEFabcdef")
VCHAR = frozenset(chr(code) for code in range(0x21, 0x7F))
TCHAR = ALPHA | DIGIT | frozenset("!#$%&'*+-.^_`|~")
"""The characters of a token (RFC 9110 section 5.6.2)."""


@dataclass(frozen=True, slots=True)
class Read:
    """The input is a sentence of the grammar, and this is what it means."""

    value: object


@dataclass(frozen=True, slots=True)
class Refused:
    """The input is no sentence of the grammar; `code` is that of the error answer, "" where there is none."""

    code: str = ""


Verdict = Read | Refused


class Reader:
    """A text and how far it was read. Each method reads what it names, or nothing."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def ended(self) -> bool:
        """Whether everything was read."""
        return self._at == len(self._text)

    @property
    def rest(self) -> str:
        """What was not read yet."""
        return self._text[self._at :]

    def literal(self, wanted: str, *, any_case: bool = False) -> bool:
        """Read exactly this, which is ASCII; with `any_case` as ABNF has it, where letters have no case."""
        found = self._text[self._at : self._at + len(wanted)]
        if any_case and found.isascii():
            found, wanted = found.lower(), wanted.lower()
        if found != wanted:
            return False
        self._at += len(wanted)
        return True

    def take(self, count: int) -> str:
        """Read that many characters, or as many as there are."""
        part = self._text[self._at : self._at + count]
        self._at += len(part)
        return part

    def run(self, allowed: frozenset[str]) -> str:
        """Read the longest run of these characters, which may be empty."""
        begin, text = self._at, self._text
        end = next((at for at in range(begin, len(text)) if text[at] not in allowed), len(text))
        self._at = end
        return text[begin:end]

    def before(self, stops: frozenset[str]) -> str:
        """Read up to the first of these characters, or to the end."""
        begin, text = self._at, self._text
        end = next((at for at in range(begin, len(text)) if text[at] in stops), len(text))
        self._at = end
        return text[begin:end]

    def until(self, end: str) -> str | None:
        """Read up to the next such character, and that as well; None if there is none."""
        found = self._text.find(end, self._at)
        if found < 0:
            return None
        part = self._text[self._at : found]
        self._at = found + 1
        return part

    def escaped(self, allowed: frozenset[str]) -> str:
        """Read the longest run of these characters and percent escapes (RFC 3986 section 2.1)."""
        begin = self._at
        while True:
            self.run(allowed)
            escape = self._text[self._at : self._at + 3]
            if not (len(escape) == 3 and escape[0] == "%" and set(escape[1:]) <= HEXDIG):
                return self._text[begin : self._at]
            self._at += 3


# Octets of a sequence, the first and the last octet that it may begin with, the least character that needs it.
_UTF8 = ((2, 0xC0, 0xDF, 0x80), (3, 0xE0, 0xEF, 0x800), (4, 0xF0, 0xF7, 0x10000))


def utf8(data: bytes) -> str | None:
    """The text, or None if the bytes are not UTF-8 (RFC 3629 section 4)."""
    text: list[str] = []
    at = 0
    while at < len(data):
        code = data[at]
        size = 1
        if code >= 0x80:
            size, least = next(((size, least) for size, low, high, least in _UTF8 if low <= code <= high), (0, 0))
            tail = data[at + 1 : at + size]
            if not size or len(tail) != size - 1 or any(byte >> 6 != 0b10 for byte in tail):
                return None
            code &= 0x7F >> size
            for byte in tail:
                code = code << 6 | byte & 0x3F
            if not least <= code <= 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                return None
        text.append(chr(code))
        at += size
    return "".join(text)
