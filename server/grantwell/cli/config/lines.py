"""Where in a TOML document each key stands, which `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""The way to a value from the top of a document: names of keys, and the number of an item in an array, from 0."""

# One alternative a kind of token (TOML 1.0); a multi-line string may end in two quotation marks of its own. A string
# without an end goes as far as it can, so that no text is looked at more than once.
_TOKEN = re.compile(
    r"""
    (?P<string> \"{3} (?: \\. | [^\\] )*? (?: \"{3,5} | \Z ) | '{3} .*? (?: '{3,5} | \Z )
        | " (?: \\. | [^"\\\n] )* "? | ' [^'\n]* '? )
    | (?P<comment> \#[^\n]* )
    | (?P<newline> \n )
    | (?P<mark> [\[\]{}=,.] )
    | (?P<bare> [^\s\[\]{}=,.#"']+ )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


def lines_of(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every key, table and array item of a document that `tomllib` has read without an error."""
    scanner = _Scanner(list(_tokens(text)))
    scanner.document()
    return scanner.lines


def _tokens(text: str) -> Iterator[_Token]:
    breaks = [found.start() for found in re.finditer("\n", text)]
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup or ""
        if kind != "comment":
            yield _Token(kind, found.group(), 1 + bisect_right(breaks, found.start() - 1))


class _Scanner:
    """Goes through the tokens once, and notes where a key is opened. It looks only for the way, never at a value."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._tokens = tokens
        self._at = 0
        self._table: KeyPath = ()
        # The last item of each array of tables: `[a.b]` below `[[a]]` belongs to it.
        self._last_item: dict[KeyPath, int] = {}

    def document(self) -> None:
        while self._at < len(self._tokens):
            if self._next_is("newline"):
                self._at += 1
            elif self._is_mark("["):
                self._header()
            else:
                self._pair(self._table)

    def _header(self) -> None:
        line = self._tokens[self._at].line
        self._at += 1
        is_item = self._is_mark("[")
        self._at += is_item
        keys = self._keys()
        self._at += 1 + is_item
        if is_item:
            array = (*self._resolved(keys[:-1]), keys[-1])
            self._last_item[array] = self._last_item.get(array, -1) + 1
            self._note(array, line)
            self._table = (*array, self._last_item[array])
        else:
            self._table = self._resolved(keys)
        self._note(self._table, line)

    def _resolved(self, keys: list[str]) -> KeyPath:
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            if path in self._last_item:
                path = (*path, self._last_item[path])
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._tokens[self._at].line
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _keys(self) -> list[str]:
        keys = []
        while True:
            token = self._tokens[self._at]
            keys.append(_unquoted(token.text) if token.kind == "string" else token.text)
            self._at += 1
            if not self._is_mark("."):
                return keys
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        if self._is_mark("["):
            self._array(path)
        elif self._is_mark("{"):
            self._inline_table(path)
        else:
            while self._at < len(self._tokens) and not self._ends_a_value():
                self._at += 1

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while not self._is_mark("]"):
            if self._next_is("newline"):
                self._at += 1
            elif self._is_mark(","):
                index += 1
                self._at += 1
            else:
                self._note((*path, index), self._tokens[self._at].line)
                self._value((*path, index))
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while not self._is_mark("}"):
            if self._is_mark(",") or self._next_is("newline"):
                self._at += 1
            else:
                self._pair(path)
        self._at += 1

    def _note(self, path: KeyPath, line: int) -> None:
        self.lines.setdefault(path, line)

    def _next_is(self, kind: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at].kind == kind

    def _is_mark(self, mark: str) -> bool:
        return self._next_is("mark") and self._tokens[self._at].text == mark

    def _ends_a_value(self) -> bool:
        return self._next_is("newline") or self._is_mark(",") or self._is_mark("]") or self._is_mark("}")


def _unquoted(key: str) -> str:
    if key.startswith("'"):
        return key[1:-1]
    (name,) = tomllib.loads(f"{key} = 0")
    return name
