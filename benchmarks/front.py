"""`python -m benchmarks.front`: small calls and large bodies through the front, and to its upstream directly.

Each round measures every variant once, in turn; what is printed is the median of the rounds, and its ratio to the
upstream reached directly. Upstream and front share one core, the load has the others.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
from pathlib import Path

from grantwell_migrations import upgrade

from .front_servers import front_command, fronted_app, upstream_command
from .front_streams import download, upload
from .load import repeating, request_bytes, run
from .people import office
from .servers import Process, free_port, serving

ROUNDS = 5
CONNECTIONS = 32
CALLS_EACH = 100
BODY_MIB = 100

Figures = dict[str, dict[str, list[float]]]


async def _calls(process: Process, headers: list[dict[str, str]]) -> float:
    requests = [request_bytes("GET", "/api/thing", h) for h in headers]
    callers = [repeating(requests[i:] + requests[:i], CALLS_EACH) for i in range(CONNECTIONS)]
    load = await run(process.port, callers)
    if load.failures:
        raise RuntimeError(f"{load.failures} of {load.requests} requests failed")
    return load.rate


async def _round(name: str, process: Process, headers: list[dict[str, str]], figures: Figures) -> None:
    before = process.cpu_seconds()
    figures["calls a second"].setdefault(name, []).append(await _calls(process, headers))
    spent = 1e6 * (process.cpu_seconds() - before) / (CONNECTIONS * CALLS_EACH)
    figures["CPU us a call"].setdefault(name, []).append(spent)
    down, up = await download(process.port, BODY_MIB, headers[0]), await upload(process.port, BODY_MIB, headers[0])
    figures["MiB/s down"].setdefault(name, []).append(down.mib_per_second)
    figures["MiB/s up"].setdefault(name, []).append(up.mib_per_second)


async def measure(folder: Path) -> Figures:
    """All rounds."""
    figures: Figures = {kind: {} for kind in ("calls a second", "CPU us a call", "MiB/s down", "MiB/s up")}
    upstream_port, front_port = free_port(), free_port()
    async with office(fronted_app(folder, upstream_port)) as clerk:
        tokens = [(await clerk.tokens(f"user{n}")).access for n in range(CONNECTIONS)]
    with (
        serving(upstream_command(upstream_port), upstream_port) as upstream,
        serving(front_command(folder, front_port, upstream_port), front_port) as front,
    ):
        for number in range(1, ROUNDS + 1):
            await _round("upstream", upstream, [{}], figures)
            await _round("front", front, [{"Authorization": f"Bearer {token}"} for token in tokens], figures)
            print(f"round {number} of {ROUNDS}", file=sys.stderr)
    return figures


def main() -> None:
    """Run it; half a minute."""
    if not sys.platform.startswith("linux"):
        sys.exit("The benchmark reads /proc and pins processes to cores: it needs Linux.")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, set(cores[1:]))
    with tempfile.TemporaryDirectory() as name:
        upgrade(f"sqlite+aiosqlite:///{Path(name) / 'bench.db'}")
        figures = asyncio.run(measure(Path(name)))
    print(f"{'':16}{'upstream':>10}{'front':>10}{'ratio':>8}")
    for kind, columns in figures.items():
        upstream, front = (statistics.median(columns[name]) for name in ("upstream", "front"))
        print(f"{kind:16}{upstream:10.0f}{front:10.0f}{front / upstream:8.2f}")


if __name__ == "__main__":
    main()
