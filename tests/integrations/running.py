"""Runs an example as a reader of it would: its database made by the command, itself served by uvicorn in a process."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cli.processes import environment, run

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery staple"
USERS = ("alice", "bob")

_STOP_SECONDS = 20


def made_database(name: str, folder: Path) -> None:
    """Make the database of an example with its users, whose password is `PASSWORD`."""
    database = f"sqlite+aiosqlite:///{folder / name}.db"
    for words in (["migrate"], *(["users", "add", user] for user in USERS)):
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

    The process inherits the socket, which listens already: nobody has to wait until it is up.
    """
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
def served_example(name: str, folder: Path, **settings: str) -> Iterator[str]:
    """Serve an example with a database of its own while the body runs; gives its origin."""
    made_database(name, folder)
    sock = listener()
    origin = origin_of(sock)
    with served(f"examples.{name}:app", folder, sock, settings={"ISSUER": origin} | settings):
        yield origin
