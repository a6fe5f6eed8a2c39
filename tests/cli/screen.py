"""A terminal as a person has one: with a width, and with somebody at the keyboard."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.cli.processes import COMMAND, environment

_SECONDS = 60


@dataclass(frozen=True)
class Shown:
    """What a person saw, and how the command ended."""

    text: str
    code: int


def at_a_terminal(folder: Path, *words: str, width: int = 80, answers: tuple[bytes, ...] = (), **more: str) -> Shown:
    """Run a command at a terminal; the answers are typed when it asks for a yes."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(**{"TERM": "xterm-256color", "COLUMNS": str(width)} | more),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    watchdog = threading.Timer(_SECONDS, process.kill)
    watchdog.start()
    seen = b""
    waiting = list(answers)
    try:
        while True:
            try:
                more_seen = os.read(master, 4096)
            except OSError:
                # The other side was closed.
                break
            if not more_seen:
                break
            seen += more_seen
            if waiting and b"[y/N]: " in seen:
                os.write(master, waiting.pop(0))
        return Shown(seen.decode().replace("\r\n", "\n"), process.wait(_SECONDS))
    finally:
        watchdog.cancel()
        os.close(master)
