"""Several server processes on one database, each with a socket of its own."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, cast

import httpx

from grantwell.testing import FrozenClock
from tests.wire.world import World, new_store

ROOT = Path(__file__).resolve().parent.parent.parent


class Fleet:
    """The processes, and the folder that they share. See `tests.races.app`."""

    def __init__(self, folder: Path, size: int, *options: str) -> None:
        self.folder = folder
        self._options = options
        new_store("sqlite", folder)
        (folder / "calls").touch()
        self._ahead = 0
        self.advance(0)
        # The sockets outlive the processes, so that a client of a process that is starting waits, and is not refused.
        self._sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(size)]
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * size

    def start(self) -> None:
        """Start the processes that do not run."""
        for number, listening in enumerate(self._sockets):
            if self._processes[number] is None:
                descriptor = listening.fileno()
                self._processes[number] = subprocess.Popen(
                    [sys.executable, "-m", "tests.races.app", str(self.folder), str(descriptor), *self._options],
                    pass_fds=[descriptor],
                    cwd=ROOT,
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                )

    def kill(self, *numbers: int) -> None:
        """Kill processes as kill -9 does: those with these numbers, or all."""
        for number in numbers or range(len(self._processes)):
            process, self._processes[number] = self._processes[number], None
            if process is not None:
                process.kill()
                process.wait()

    def number_of(self, process_id: int) -> int:
        """Which of the processes has this id."""
        return [process.pid if process else 0 for process in self._processes].index(process_id)

    def stop(self) -> list[int]:
        """End the processes as an operator would; their exit codes."""
        running = [process for process in self._processes if process is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(timeout=20) for process in running]
        for listening in self._sockets:
            listening.close()
        return codes

    def advance(self, seconds: int) -> None:
        """Move the clock of all processes."""
        self._ahead += seconds
        temporary = self.folder / "clock.new"
        temporary.write_text(str(self._ahead))
        temporary.rename(self.folder / "clock")

    def calls(self) -> list[tuple[str, int]]:
        """The runs of the callback so far: idempotency key and process id."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [(key, int(process_id)) for key, process_id in (line.split() for line in lines)]

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the database."""
        with closing(sqlite3.connect(self.folder / "oauth.db")) as database:
            found = [row[0] for row in database.execute("PRAGMA integrity_check")]
            found += [str(row) for row in database.execute("PRAGMA foreign_key_check")]
            return [line for line in found if line != "ok"]

    @asynccontextmanager
    async def worlds(self) -> AsyncIterator[list[World]]:
        """A way to speak to each of the processes."""
        async with AsyncExitStack() as stack:
            yield [
                World(
                    provider=cast("Any", None),
                    http=await stack.enter_async_context(
                        httpx.AsyncClient(
                            base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", trust_env=False, timeout=30
                        )
                    ),
                    clock=FrozenClock(),
                )
                for listening in self._sockets
            ]


@contextmanager
def running_fleet(folder: Path, size: int, *options: str) -> Iterator[Fleet]:
    """A fleet that has been started, and is gone at the end."""
    fleet = Fleet(folder, size, *options)
    try:
        fleet.start()
        yield fleet
        # uvicorn ends in order, and then by the signal that it was sent.
        assert set(fleet.stop()) <= {0, -signal.SIGTERM}
    finally:
        fleet.kill()
