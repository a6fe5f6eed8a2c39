"""Runs an example as a reader of it would: its database made by the command, itself served by uvicorn in a process."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.cli.processes import environment, run

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery staple"

_START_SECONDS = 100
_STOP_SECONDS = 20


def made_database(name: str, folder: Path, *users: str) -> None:
    """Make the database of an example with these users, whose password is `PASSWORD`."""
    database = f"sqlite+aiosqlite:///{folder / name}.db"
    for words in (["migrate"], *(["users", "add", user] for user in users)):
        done = run(folder, *words, "--database-url", database, GRANTWELL_PASSWORD=PASSWORD)
        assert done.returncode == 0, done.stderr


def listener() -> socket.socket:
    """A socket that listens on a free port of the loopback interface."""
    return socket.create_server(("127.0.0.1", 0))


def origin_of(sock: socket.socket) -> str:
    """Where the socket is reached."""
    return f"http://127.0.0.1:{sock.getsockname()[1]}"


@contextmanager
def served(
    target: str, folder: Path, sock: socket.socket, *options: str, settings: Mapping[str, str] | None = None
) -> Iterator[Path]:
    """Serve `module:attribute` at this socket while the body runs; gives the file that its log goes to.

    The process inherits the socket, which listens already: the first request waits until the server is up.
    """
    origin = origin_of(sock)
    log = folder / f"{target.replace(':', '-')}.log"
    with sock, log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", target, "--fd", str(sock.fileno()), *options],
            cwd=ROOT,
            env=environment(EXAMPLE_FOLDER=str(folder), **(settings or {})),
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            pass_fds=[sock.fileno()],
        )
    try:
        try:
            httpx.get(origin, timeout=_START_SECONDS)
        except httpx.HTTPError as error:
            raise RuntimeError(f"{target} does not answer:\n{log.read_text()}") from error
        yield log
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert "Traceback" not in log.read_text(), log.read_text()


@contextmanager
def served_example(name: str, folder: Path, *users: str) -> Iterator[str]:
    """Serve an example with a database of its own while the body runs; gives its origin."""
    made_database(name, folder, *users)
    sock = listener()
    origin = origin_of(sock)
    with served(f"examples.{name}:app", folder, sock, settings={"ISSUER": origin}):
        yield origin
