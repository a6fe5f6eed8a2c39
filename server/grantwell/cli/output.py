"""What the commands print: aligned tables and JSON, with nothing in them that could play tricks on a terminal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from ..store import Page

T = TypeVar("T")
Row = Sequence[object]

NOTHING = "-"
_PAGE_SIZE = 500
_GAP = "  "


def plain(value: object) -> str:
    """A value as text in which control, invisible and bidirectional characters are escaped; `-` for None."""
    if value is None:
        return NOTHING
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(value))


def instant(seconds: int | None) -> str:
    """Seconds since 1970 UTC as a date and a time."""
    if seconds is None:
        return NOTHING
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def print_json(document: object) -> None:
    """Print a JSON value; everything beyond ASCII is escaped, so no terminal is fooled."""
    click.echo(json.dumps(document, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Print rows under their headings, in aligned columns."""
    lines = [list(columns), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        click.echo(_GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_members(members: Mapping[str, object]) -> None:
    """Print the members of one thing, each on a line; those without a value are left out."""
    shown = {name: value for name, value in members.items() if value not in (None, "", [], {}, ())}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        values = value if isinstance(value, list | tuple) else [value]
        for i, item in enumerate(values):
            click.echo(f"{(name if i == 0 else '').ljust(width)}{_GAP}{plain(item)}")


async def everything(fetch: Callable[[int, str | None], Awaitable[Page[T]]], limit: int | None) -> AsyncIterator[T]:
    """The items of all pages, at most `limit` of them; `fetch` gets the size of a page and its cursor."""
    cursor: str | None = None
    left = limit
    while left is None or left > 0:
        page = await fetch(_PAGE_SIZE if left is None else min(left, _PAGE_SIZE), cursor)
        for item in page.items:
            yield item
        cursor = page.cursor
        if cursor is None:
            return
        if left is not None:
            left -= len(page.items)


async def print_listing(
    items: AsyncIterator[T],
    *,
    as_json: bool,
    document: Callable[[T], Mapping[str, Any]],
    columns: Sequence[str],
    row: Callable[[T], Row],
) -> None:
    """Print a listing: a JSON array, written as it is read, or a table."""
    if not as_json:
        print_table(columns, [row(item) async for item in items])
        return
    separator = "["
    async for item in items:
        click.echo(separator + "\n  " + json.dumps(document(item), indent=2).replace("\n", "\n  "), nl=False)
        separator = ","
    click.echo("[]" if separator == "[" else "\n]")
