"""Other processes for the tests: racers on one database, and somebody who holds its lock."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent

_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


class Racer:
    """One process that runs `tests.storage.racer`."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.racer", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def ask(self, **order: Any) -> None:
        """Send a job without waiting for its outcome."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """The next line that the process says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the racer has died"
        return json.loads(line)

    def said(self) -> list[Any]:
        """The lines that a killed process had said, but for one that was cut."""
        assert self.process.stdout is not None
        return [json.loads(line) for line in self.process.stdout.read().splitlines(keepends=True) if line[-1] == "\n"]

    def end(self) -> None:
        """Kill the process, if it still runs, and forget it."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()


@contextmanager
def racers(url: str, number: int) -> Iterator[list[Racer]]:
    """So many processes, all of which have opened the store."""
    running: list[Racer] = []
    try:
        running.extend(Racer(url) for _ in range(number))
        for racer in running:
            assert racer.answer() == "ready"
        yield running
    finally:
        for racer in running:
            racer.end()


@contextmanager
def held_lock(path: Path) -> Iterator[None]:
    """Another process holds the write lock of the database."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.communicate("")
