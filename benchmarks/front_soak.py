"""`python -m benchmarks.front_soak`: 200 MiB down, 200 MiB up, ten minutes of events, and the memory of the front.

An argument is another length of the event stream, in seconds.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from grantwell_migrations import upgrade

from .front_servers import front_command, fronted_app, upstream_command
from .front_streams import download, listen, upload
from .people import office
from .servers import Process, free_port, serving

BODY_MIB = 200
EVENT_SECONDS = 600.0
_SAMPLE_SECONDS = 0.05


class Memory:
    """The resident memory of a process while something goes on."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.samples: list[float] = []

    def sample(self) -> None:
        """Look once."""
        self.samples.append(self._process.resident_mib())

    async def during(self, work: Awaitable[object]) -> None:
        """Look again and again until the work is done."""
        task = asyncio.ensure_future(work)
        while not task.done():
            self.sample()
            await asyncio.wait({task}, timeout=_SAMPLE_SECONDS)
        task.result()

    def __str__(self) -> str:
        first, most, last = self.samples[0], max(self.samples), self.samples[-1]
        return f"{first:8.1f}{most:8.1f}{last:8.1f} MiB   ({len(self.samples)} samples)"


async def soak(process: Process, headers: dict[str, str], event_seconds: float, say: Callable[[str], None]) -> None:
    """Send everything through the front, and say what its memory did."""
    say(f"{'resident memory of the front':44}{'first':>8}{'most':>8}{'last':>8}")
    bodies = {
        "a first body of 1 MiB down": download(process.port, 1, headers),
        f"{BODY_MIB} MiB down": download(process.port, BODY_MIB, headers),
        f"{BODY_MIB} MiB up": upload(process.port, BODY_MIB, headers),
        f"{BODY_MIB} MiB down and up at once, four of each": _at_once(process.port, headers),
    }
    for name, work in bodies.items():
        memory = Memory(process)
        await memory.during(work)
        memory.sample()
        say(f"{name:44}{memory}")
    memory = Memory(process)
    events = await listen(process.port, event_seconds, headers, memory.sample)
    say(f"{f'{event_seconds:.0f} s of events: {events}, none missing':44}{memory}")


async def _at_once(port: int, headers: dict[str, str]) -> None:
    works = [work(port, BODY_MIB, headers) for work in (download, upload) for _ in range(4)]
    await asyncio.gather(*works)


async def run(folder: Path, event_seconds: float) -> None:
    """Start the servers, and soak."""
    upstream_port, front_port = free_port(), free_port()
    async with office(fronted_app(folder, upstream_port)) as clerk:
        token = (await clerk.tokens("user")).access
    headers = {"Authorization": f"Bearer {token}"}
    with (
        serving(upstream_command(upstream_port), upstream_port, core=None),
        serving(front_command(folder, front_port, upstream_port), front_port, core=None) as front,
    ):
        await soak(front, headers, event_seconds, lambda line: print(line, flush=True))


def main() -> None:
    """Run it; eleven minutes unless told otherwise."""
    if not sys.platform.startswith("linux"):
        sys.exit("The soak reads /proc: it needs Linux.")
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else EVENT_SECONDS
    with tempfile.TemporaryDirectory() as name:
        upgrade(f"sqlite+aiosqlite:///{Path(name) / 'bench.db'}")
        asyncio.run(run(Path(name), seconds))


if __name__ == "__main__":
    main()
