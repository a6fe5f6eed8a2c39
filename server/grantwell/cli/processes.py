"""Runs the server processes of the demonstration, and tells when the first of them serves."""

from __future__ import annotations

import multiprocessing
import socket
import threading
from collections.abc import Callable
from functools import partial

import click
import uvicorn
from uvicorn.supervisors import Multiprocess

from .demo import DemoSettings, Ready, create_app
from .logs import log_config

_GRACE_SECONDS = 5


def run(
    settings: DemoSettings, bound: socket.socket, *, workers: int, access_log: bool, announce: Callable[[], None]
) -> None:
    """Serve on a listening socket until a signal ends it; exits with code 1 if the server cannot start."""
    ready: Ready = threading.Event() if workers == 1 else multiprocessing.get_context("spawn").Event()
    # The settings reach each worker through a pipe, not by a command line or an environment that others could read.
    config = uvicorn.Config(
        partial(create_app, settings, ready),
        factory=True,
        interface="asgi3",
        workers=workers,
        lifespan="on",
        log_config=log_config(access_log=access_log),
        access_log=access_log,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
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
