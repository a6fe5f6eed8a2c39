"""Where the keys of a TOML document stand."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell.cli.config.lines import lines_of

pytestmark = pytest.mark.requirement("G-600")


def _line(text: str, *path: str | int) -> int | None:
    tomllib.loads(text)
    return lines_of(text).get(path)


def test_tables_below_each_other_and_dotted_keys() -> None:
    text = 'top = 1\n\n[server]\n  port = 1 # a comment = 3\n[server.tls]\nkey.file = "x"\n[ a . "b.c" ]\nd = 1\n'
    assert _line(text, "top") == 1
    assert _line(text, "server") == 3
    assert _line(text, "server", "port") == 4
    assert _line(text, "server", "tls") == 5
    assert _line(text, "server", "tls", "key") == 6
    assert _line(text, "server", "tls", "key", "file") == 6
    assert _line(text, "a", "b.c") == 7
    assert _line(text, "a", "b.c", "d") == 8
    assert "comment" not in {part for path in lines_of(text) for part in path}


def test_arrays_of_tables_and_the_tables_below_their_last_item() -> None:
    text = (
        "[[api]]\nprefix = '/a'\n[api.scopes]\nx = 'X'\n\n[[api]]\nprefix = '/b'\n[api.scopes]\n"
        "y = 'Y'\n[[api.more]]\nz = 1\n[[api.more]]\nz = 2"
    )
    assert _line(text, "api") == 1
    assert _line(text, "api", 0) == 1
    assert _line(text, "api", 0, "prefix") == 2
    assert _line(text, "api", 0, "scopes", "x") == 4
    assert _line(text, "api", 1) == 6
    assert _line(text, "api", 1, "prefix") == 7
    assert _line(text, "api", 1, "scopes", "y") == 9
    assert _line(text, "api", 1, "more", 0, "z") == 11
    assert _line(text, "api", 1, "more", 1, "z") == 13


def test_quoted_keys() -> None:
    text = '"a \\"b\\" \\u00e9" = 1\n\'c = d\' = 2\n"" = 3\n["x]"]\ny = 4\n'
    assert _line(text, 'a "b" é') == 1
    assert _line(text, "c = d") == 2
    assert _line(text, "") == 3
    assert _line(text, "x]", "y") == 5


@pytest.mark.parametrize(
    "value",
    [
        '"""\nnot = 1\n[no]\n"""',
        "'''\nnot = 1\n[no]\n'''",
        '"""ends in quotes """""',
        "'''it''s '''",
        '"""a \\""" b\n# no comment\n"""',
        '[\n  1, # one\n  "]", [2,\n 3],\n]',
        '{ a = "}", b = [1, 2], "c" = { d = 1 } }',
        "1979-05-27 07:32:00",
        "1.5e3",
        '"\\\\"',
    ],
)
def test_what_comes_after_a_value_is_found(value: str) -> None:
    text = f"before = {value}\nafter = 1\n[table]\nkey = 2\n"
    extra = value.count("\n")
    assert _line(text, "before") == 1
    assert _line(text, "after") == 2 + extra
    assert _line(text, "table", "key") == 4 + extra
    assert {path[0] for path in lines_of(text)} == {"before", "after", "table"}


def test_items_of_arrays_and_inline_tables() -> None:
    text = "list = [\n  'a',\n  'b',\n  { x = 1 },\n]\ntable = { y = { z = 1 } }\n"
    assert _line(text, "list", 0) == 2
    assert _line(text, "list", 1) == 3
    assert _line(text, "list", 2, "x") == 4
    assert _line(text, "table", "y", "z") == 6


def test_lines_that_end_as_on_windows() -> None:
    assert _line("a = 1\r\n\r\n[b]\r\nc = 1\r\n", "b", "c") == 4


_KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
_VALUES = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",\n".join(map(_toml, value)) + "\n]"
    return json.dumps(value).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return json.dumps(key, ensure_ascii=True)


def _paths(value: Any, path: tuple[str | int, ...]) -> set[tuple[str | int, ...]]:
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return {path}.union(*(_paths(item, (*path, key)) for key, item in items))


@given(st.dictionaries(_KEYS, st.dictionaries(_KEYS, _VALUES, max_size=3), max_size=3))
def test_every_key_of_every_document_is_found(document: dict[str, dict[str, Any]]) -> None:
    text = "".join(
        f"[{_key(table)}]\n" + "".join(f"{_key(key)} = {_toml(value)}\n" for key, value in keys.items())
        for table, keys in document.items()
    )
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        # A key of two characters beyond the basic plane is no key as JSON writes it.
        assert "\\ud" in text
        return
    assert set(lines_of(text)) == _paths(parsed, ()) - {()}
