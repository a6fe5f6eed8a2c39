"""The notes of the demonstration: in an SQLite file of their own, so that all processes see the same."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

MOST_NOTES = 100
MOST_CHARACTERS = 1000
_LARGEST_ID = 2**63 - 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, text TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT
"""
_INDEX = "CREATE INDEX IF NOT EXISTS notes_of_owner ON notes (owner, id)"
_LIST = "SELECT id, text, created_at FROM notes WHERE owner = ? ORDER BY id"
_ADD = """
INSERT INTO notes (owner, text, created_at)
SELECT :owner, :text, :now WHERE (SELECT count(*) FROM notes WHERE owner = :owner) < :most
RETURNING id, text, created_at
"""
_DELETE = "DELETE FROM notes WHERE owner = ? AND id = ? RETURNING id"

Note = dict[str, Any]


class NotesUnavailable(Exception):
    """The file did not answer in time."""


class Notes:
    """Who owns a note is who reads and deletes it; nobody has more than a hundred."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def create(self) -> None:
        """Make the file, readable by its owner alone, if there is none. Raises OSError, NotesUnavailable."""
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._run("PRAGMA journal_mode = WAL", ())
        self._run(_SCHEMA, ())
        self._run(_INDEX, ())

    async def of(self, owner: str) -> list[Note]:
        """The notes of somebody, the oldest first. Raises NotesUnavailable."""
        return await asyncio.to_thread(self._run, _LIST, (owner,))

    async def add(self, owner: str, text: str) -> Note | None:
        """Write a note; None if its owner has as many as there may be. Raises NotesUnavailable."""
        values = {"owner": owner, "text": text, "now": int(time.time()), "most": MOST_NOTES}
        rows = await asyncio.to_thread(self._run, _ADD, values)
        return rows[0] if rows else None

    async def delete(self, owner: str, note_id: int) -> bool:
        """Delete a note; False if its owner has none with this id. Raises NotesUnavailable."""
        if note_id > _LARGEST_ID:
            return False
        return bool(await asyncio.to_thread(self._run, _DELETE, (owner, note_id)))

    def _run(self, statement: str, values: tuple[object, ...] | dict[str, object]) -> list[Note]:
        try:
            with closing(sqlite3.connect(self._path, timeout=5)) as connection, connection:
                connection.row_factory = sqlite3.Row
                return [dict(row) for row in connection.execute(statement, values)]
        except sqlite3.OperationalError as error:
            raise NotesUnavailable(str(error)) from error


def checked_text(text: object) -> str:
    """The text of a note. Raises ValueError with one sentence."""
    if not isinstance(text, str) or not text.strip():
        raise ValueError("A note needs a text.")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"A note has at most {MOST_CHARACTERS} characters.")
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("A note is made of characters.")
    return text
