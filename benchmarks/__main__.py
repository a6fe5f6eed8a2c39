"""`python -m benchmarks`: protected call, code exchange and refresh beside the bare application, and the demo's memory.

Each round measures every variant once, in turn; what is printed is the median of the rounds, and its ratio to the bare
application. Requests a second move with the neighbours on a shared machine; CPU time a request hardly does.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from grantwell_migrations import upgrade

from . import demo_memory, people
from .load import NextRequest, repeating, request_bytes, run
from .servers import Process, command, free_port, guarded_app, serving

ROUNDS = 5
CONNECTIONS = 32
CALLS_EACH = 250
EXCHANGES_EACH = 15
REFRESHES_EACH = 15

Figures = dict[str, list[tuple[float, float]]]


async def _measure(process: Process, callers: list[NextRequest]) -> tuple[float, float]:
    """Requests a second, and microseconds of the server's CPU a request."""
    before = process.cpu_seconds()
    load = await run(process.port, callers)
    if load.failures:
        raise RuntimeError(f"{load.failures} of {load.requests} requests failed")
    return load.rate, 1e6 * (process.cpu_seconds() - before) / load.requests


def _calls(headers: list[dict[str, str]]) -> list[NextRequest]:
    requests = [request_bytes("GET", "/api/thing", h) for h in headers]
    return [repeating(requests[i:] + requests[:i], CALLS_EACH) for i in range(CONNECTIONS)]


_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _token_request(form: dict[str, str]) -> bytes:
    return request_bytes("POST", "/token", _FORM, urlencode(form).encode())


def _exchanges(client_id: str, codes: list[str]) -> list[NextRequest]:
    requests = [
        _token_request(
            {
                "grant_type": "authorization_code",
                "client_id": client_id,
                "code": code,
                "code_verifier": people.VERIFIER,
                "redirect_uri": people.REDIRECT_URI,
            }
        )
        for code in codes
    ]
    return [repeating(requests[i::CONNECTIONS], len(requests[i::CONNECTIONS])) for i in range(CONNECTIONS)]


def _refreshes(client_id: str, tokens: list[str]) -> list[NextRequest]:
    return [_refreshing(client_id, token) for token in tokens]


def _refreshing(client_id: str, token: str) -> NextRequest:
    """Refresh, then refresh with what the answer gave, and so on."""
    left = iter(range(REFRESHES_EACH))

    def next_request(body: bytes | None) -> bytes | None:
        nonlocal token
        if body is not None:
            token = json.loads(body)["refresh_token"]
        if next(left, None) is None:
            return None
        return _token_request({"grant_type": "refresh_token", "client_id": client_id, "refresh_token": token})

    return next_request


async def _rounds(folder: Path, say: Callable[[str], None]) -> Figures:
    figures: Figures = {"bare application": [], "protected call": [], "code exchange": [], "refresh": []}
    bare_port, guarded_port = free_port(), free_port()
    async with people.office(guarded_app(folder)) as office:
        tokens = [await office.tokens(f"user{n}") for n in range(200)]
        with (
            serving(command("bare", folder, bare_port), bare_port) as bare,
            serving(command("guarded", folder, guarded_port), guarded_port) as guarded,
        ):
            for number in range(1, ROUNDS + 1):
                codes = [await office.code(f"r{number}u{n}") for n in range(CONNECTIONS * EXCHANGES_EACH)]
                chains = [(await office.tokens(f"r{number}c{n}")).refresh for n in range(CONNECTIONS)]
                bearers = [{"Authorization": f"Bearer {t.access}"} for t in tokens]
                figures["bare application"].append(await _measure(bare, _calls([{}])))
                figures["protected call"].append(await _measure(guarded, _calls(bearers)))
                figures["code exchange"].append(await _measure(guarded, _exchanges(office.client_id, codes)))
                figures["refresh"].append(await _measure(guarded, _refreshes(office.client_id, chains)))
                say(f"round {number} of {ROUNDS}")
    return figures


def _print_table(figures: Figures) -> None:
    bare_rate, bare_cpu = (statistics.median(column) for column in zip(*figures["bare application"], strict=True))
    print(f"{'':20}{'requests/s':>12}{'ratio':>8}{'CPU us/request':>16}{'ratio':>8}")
    for name, rounds in figures.items():
        rate, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:20}{rate:12.0f}{rate / bare_rate:8.2f}{cpu:16.1f}{bare_cpu / cpu:8.2f}")


def main() -> None:
    """Run everything; a minute or two."""
    if not sys.platform.startswith("linux"):
        sys.exit("The benchmark reads /proc and pins processes to cores: it needs Linux.")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, set(cores[1:]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        upgrade(f"sqlite+aiosqlite:///{folder / 'bench.db'}")
        figures = asyncio.run(_rounds(folder, lambda text: print(text, file=sys.stderr)))
        _print_table(figures)
        print()
        asyncio.run(demo_memory.measure(folder))


if __name__ == "__main__":
    main()
