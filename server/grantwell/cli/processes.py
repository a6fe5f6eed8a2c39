"""Runs the processes of a server, and tells when the first of them serves."""

from __future__ import annotations

import multiprocessing
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import click
import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from .logs import log_config
from .readiness import Ready, notify


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """How a server is run; `grace` is how many seconds requests may go on after a stop."""

    workers: int
    access_log: bool
    grace: int


def run(
    create_app: Callable[[Ready], ASGIApp], bound: socket.socket, process: Process, *, announce: Callable[[], None]
) -> None:
    """Serve on a listening socket until a signal ends it; exits with code 1 if the server cannot start."""
    workers = process.workers
    ready: Ready = threading.Event() if workers == 1 else multiprocessing.get_context("spawn").Event()
    # What makes the application, with its settings, reaches each worker through a pipe, not by a command line or an
    # environment that others could read.
    config = uvicorn.Config(
        partial(create_app, ready),
        factory=True,
        interface="asgi3",
        workers=workers,
        lifespan="on",
        log_config=log_config(access_log=process.access_log),
        access_log=process.access_log,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=process.grace,
    )
    threading.Thread(target=_announce_when, args=(ready, announce), daemon=True).start()
    try:
        if workers == 1:
            uvicorn.Server(config).run(sockets=[bound])
        else:
            Multiprocess(config, sockets=[bound]).run()
    except KeyboardInterrupt:
        return
    except SystemExit:
        # uvicorn has logged why.
        raise click.exceptions.Exit(1) from None
    if not ready.is_set():
        raise click.exceptions.Exit(1)


def _announce_when(ready: Ready, announce: Callable[[], None]) -> None:
    ready.wait()
    announce()
    notify("READY=1")
