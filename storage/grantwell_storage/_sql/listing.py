"""A page of a listing, by the key that it is sorted by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Select, tuple_

from grantwell.store import Page

from ..paging import check_limit, cursor_after, key_of
from .decode import Row, all_readable

R = TypeVar("R")


def newest_first(
    connection: Connection,
    statement: Select[Any],
    decode: Callable[[Row], R],
    key: tuple[Column[Any], Column[Any]],
    limit: int,
    cursor: str | None,
) -> Page[R]:
    """The page behind the cursor, sorted by instant and id, both falling."""
    check_limit(limit)
    if cursor is not None:
        statement = statement.where(tuple_(*key) < tuple_(*key_of(cursor, int, str)))
    return _page(connection, statement.order_by(key[0].desc(), key[1].desc()), decode, key, (int, str), limit)


def by_name(
    connection: Connection,
    statement: Select[Any],
    decode: Callable[[Row], R],
    name: Column[Any],
    limit: int,
    cursor: str | None,
) -> Page[R]:
    """The page behind the cursor, sorted by a name, rising."""
    check_limit(limit)
    if cursor is not None:
        statement = statement.where(name > key_of(cursor, str)[0])
    return _page(connection, statement.order_by(name), decode, (name,), (str,), limit)


def _page(
    connection: Connection,
    statement: Select[Any],
    decode: Callable[[Row], R],
    key: tuple[Column[Any], ...],
    kinds: tuple[type, ...],
    limit: int,
) -> Page[R]:
    rows = connection.execute(statement.limit(limit + 1)).all()
    shown = rows[:limit]
    cursor = None
    if len(rows) > limit:
        keys = [tuple(getattr(row, column.name) for column in key) for row in shown]
        # A damaged key cannot be continued from; the row before it can.
        whole = [values for values in keys if tuple(map(type, values)) == kinds]
        cursor = cursor_after(*whole[-1]) if whole else None
    return Page(items=all_readable(decode, shown), cursor=cursor)
