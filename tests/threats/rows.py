"""Many rows at once, copied from one that the server wrote: nobody waits for ten thousand sign-ins."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path


def copy_rows(
    database: Path, table: str, count: int, changes: Mapping[str, str], *, where: str = "1", each: int = 1
) -> None:
    """Copy one row `count` times, in `each` variants of each copy.

    `changes` gives columns as SQL, in which `n` is the number of the copy and `k` that of its variant.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        values = ", ".join(changes.get(name, f'"{name}"') for name in columns)
        connection.execute(
            f"""
            WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < {count}),
                 variants(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM variants WHERE k < {each})
            INSERT INTO "{table}" SELECT {values}
            FROM (SELECT * FROM "{table}" WHERE {where} LIMIT 1), copies, variants
            """
        )


def count_of(database: Path, table: str, where: str = "1") -> int:
    """How many rows a table has."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute(f'SELECT count(*) FROM "{table}" WHERE {where}').fetchone()
    return int(count)


def pages_of(database: Path) -> int:
    """How many pages the file of a database has."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    return int(pages)
