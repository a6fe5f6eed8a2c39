"""Somebody who can write to the database file, and does so behind the server's back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GRANT_TABLES = ("oauth_grants", "oauth_codes", "oauth_access_tokens", "oauth_props")


class Rows:
    """The rows of a database file."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "oauth.db", isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.row_factory = sqlite3.Row

    def __del__(self) -> None:
        self._connection.close()

    def run(self, statement: str, *values: Any) -> int:
        """Change rows; how many."""
        return self._connection.execute(statement, values).rowcount

    def all(self, table: str, where: str = "1", *values: Any) -> list[dict[str, Any]]:
        """Rows as dictionaries."""
        return [dict(row) for row in self._connection.execute(f"SELECT * FROM {table} WHERE {where}", values)]

    def one(self, table: str, where: str = "1", *values: Any) -> dict[str, Any]:
        """The only row."""
        (row,) = self.all(table, where, *values)
        return row

    def columns(self, table: str) -> list[str]:
        """The names of the columns of a table."""
        return [row["name"] for row in self._connection.execute(f"PRAGMA table_info({table})")]

    def add(self, table: str, row: dict[str, Any]) -> None:
        """Insert a row."""
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        self.run(f"INSERT INTO {table} ({names}) VALUES ({marks})", *row.values())

    def kept(self, *tables: str) -> dict[str, list[dict[str, Any]]]:
        """A copy of whole tables."""
        return {table: self.all(table) for table in tables}

    def put_back(self, copy: dict[str, list[dict[str, Any]]]) -> None:
        """Make tables as they were."""
        self.run("BEGIN IMMEDIATE")
        for table in copy:
            self.run(f"DELETE FROM {table}")
        for table, rows in copy.items():
            for row in rows:
                self.add(table, row)
        self.run("COMMIT")

    @contextmanager
    def changed(self, *tables: str) -> Iterator[None]:
        """Put tables back at the end, whatever was done to them meanwhile."""
        copy = self.kept(*tables)
        yield
        self.put_back(copy)
