"""The servers that are measured: the bare application, and the same one behind Grantwell, each a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from grantwell import OAuthProvider, Resource, SecretKey
from grantwell_storage import SQLStore

ISSUER = "http://127.0.0.1"
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


async def _thing(request: Request) -> JSONResponse:
    return JSONResponse({"hello": "world"})


def bare_app() -> ASGIApp:
    """The ceiling: one Starlette route that answers JSON."""
    return Starlette(routes=[Route("/api/thing", _thing)])


def guarded_app(folder: Path) -> OAuthProvider:
    """The same application behind Grantwell, on SQLite."""
    return OAuthProvider(
        issuer=ISSUER,
        store=SQLStore(f"sqlite+aiosqlite:///{folder / 'bench.db'}"),
        secret_key=SecretKey.file(folder / "bench.key"),
        api_handlers={"/api": bare_app()},
        resources={"/api": Resource(scopes={"read": "Read"})},
        code_ttl=600,
    )


@dataclass(frozen=True, slots=True)
class Process:
    """A server process: where it listens, and what it has cost."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split(" ")
        return (int(fields[12]) + int(fields[13])) / _CLOCK_TICKS

    def resident_mib(self) -> float:
        """Resident memory in MiB."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split(" ")[1]) * _PAGE_BYTES / 2**20


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(command: list[str], port: int, *, core: int | None = 0) -> Iterator[Process]:
    """A server process, pinned to one core where there is another one for the load."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        if core is not None and len(os.sched_getaffinity(0)) > 1:
            os.sched_setaffinity(process.pid, {sorted(os.sched_getaffinity(0))[core]})
        _wait_for(port, process)
        yield Process(process.pid, port)
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with code {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server did not start within 30 seconds")


def command(kind: str, folder: Path, port: int) -> list[str]:
    """The command line that serves one of the applications of this module."""
    return [sys.executable, "-m", "benchmarks.servers", kind, str(folder), str(port)]


def main(kind: str, folder: str, port: str) -> None:
    """Serve until told to stop."""
    app = bare_app() if kind == "bare" else guarded_app(Path(folder))
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
