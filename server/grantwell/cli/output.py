"""What the commands print: tables, members and JSON, with nothing in them that could play tricks on a terminal.

At a terminal a table fits its width; anywhere else it is plain text in columns, the same whatever the surroundings.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

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
    """Print rows under their headings."""
    lines = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *lines, strict=True)]
    if not sys.stdout.isatty():
        for line in [list(columns), *lines]:
            click.echo(_GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        return
    console = _console()
    table = Table(box=None, pad_edge=False, padding=(0, len(_GAP), 0, 0), header_style="bold", collapse_padding=True)
    for index, (heading, width) in enumerate(zip(columns, widths, strict=True)):
        # What a row begins with is to be copied, so it is the last that is broken into lines.
        whole = index == 0 and width <= console.width // 2
        table.add_column(heading, overflow="fold", no_wrap=whole)
    for line in lines:
        # As text and not as markup: names are of strangers.
        table.add_row(*map(Text, line))
    console.print(table)


def print_members(members: Mapping[str, object]) -> None:
    """Print the members of one thing, each on a line; those without a value are left out."""
    shown = {name: value for name, value in members.items() if value not in (None, "", [], {}, ())}
    lines = [
        (name if i == 0 else "", plain(item))
        for name, value in shown.items()
        for i, item in enumerate(value if isinstance(value, list | tuple) else [value])
    ]
    if sys.stdout.isatty():
        table = Table.grid(padding=(0, len(_GAP), 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, item in lines:
            table.add_row(Text(name), Text(item))
        _console().print(table)
        return
    width = max((len(name) for name in shown), default=0)
    for name, item in lines:
        click.echo(f"{name.ljust(width)}{_GAP}{item}".rstrip())


def _console() -> Console:
    """The terminal. Nothing in a text is taken for markup, for an emoji or for something to be coloured."""
    return Console(markup=False, emoji=False, highlight=False)


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
