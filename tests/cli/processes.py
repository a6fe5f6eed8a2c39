"""Runs the real command in processes of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMMAND = (sys.executable, "-m", "grantwell.cli")
DEMO_PASSWORD = "a demo password"

_START_SECONDS = 60


def environment(**more: str) -> dict[str, str]:
    """The environment of a child that may run in any folder; without the settings of whoever runs the tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GRANTWELL_")}
    return inherited | {"PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path)} | more


def run(folder: Path, *words: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(**more),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=_START_SECONDS,
        check=False,
    )


@dataclass(frozen=True)
class Demo:
    """A demonstration that is being served, from a folder."""

    url: str
    folder: Path
    process: subprocess.Popen[str]
    banner: str

    @property
    def log(self) -> str:
        """What it has written to stderr so far."""
        return (self.folder / "stderr.txt").read_text()

    def run(self, *words: str) -> str:
        """The output of a command that is run beside the server, on its database."""
        done = run(self.folder, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def demo_server(folder: Path, *options: str, **more: str) -> Iterator[Demo]:
    """Serve the demonstration on a free port while the body runs; ends it as Ctrl+C does."""
    words = ("serve", "--demo", "--port", "0", *options)
    with _serving(folder, words, {"GRANTWELL_DEMO_PASSWORD": DEMO_PASSWORD} | more) as (process, banner):
        yield Demo(banner.partition("\n")[0].rpartition(" ")[2], folder, process, banner)


@contextmanager
def configured_server(folder: Path, *options: str, **more: str) -> Iterator[Demo]:
    """Serve what `grantwell.toml` in a folder describes, while the body runs; ends it as Ctrl+C does."""
    with _serving(folder, ("serve", *options), more) as (process, banner):
        yield Demo(banner.partition("\n")[0].rpartition(" ")[2], folder, process, banner)


@contextmanager
def _serving(folder: Path, words: tuple[str, ...], more: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with (folder / "stderr.txt").open("w") as stderr:
        process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=folder,
            env=environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    watchdog = threading.Timer(_START_SECONDS, process.kill)
    watchdog.start()
    try:
        banner = _banner(process)
        watchdog.cancel()
        if not banner:
            raise RuntimeError(f"the server did not start:\n{(folder / 'stderr.txt').read_text()}")
        yield process, banner
    finally:
        watchdog.cancel()
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _banner(process: subprocess.Popen[str]) -> str:
    lines: list[str] = []
    for line in process.stdout or ():
        lines.append(line)
        if line.startswith("http"):
            return "".join(lines)
    return ""
