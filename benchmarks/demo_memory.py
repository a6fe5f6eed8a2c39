"""The resident memory of `grantwell serve --demo` while it answers 100,000 protected calls."""

from __future__ import annotations

import sys
from pathlib import Path

from grantwell.cli.demo import DemoSettings, demo_provider
from grantwell_migrations import upgrade

from . import people
from .load import repeating, request_bytes, run
from .servers import free_port, serving

REQUESTS = 100_000
STEPS = 5
CONNECTIONS = 16


async def measure(folder: Path) -> None:
    """Serve the demo and print its memory at the start and after each step."""
    port = free_port()
    database = folder / "demo.db"
    settings = DemoSettings(
        issuer=f"http://127.0.0.1:{port}",
        database_url=f"sqlite+aiosqlite:///{database}",
        secret_key_file=str(folder / "demo.key"),
        notes_file=str(folder / "demo-notes.db"),
    )
    upgrade(settings.database_url)
    async with people.office(demo_provider(settings)) as office:
        tokens = [await office.tokens(f"user{n}") for n in range(50)]
    serve = [sys.executable, "-m", "grantwell.cli", "serve", "--demo", "--port", str(port), "--no-access-log"]
    headers = [{"Authorization": f"Bearer {t.access}"} for t in tokens]
    requests = [request_bytes("GET", "/api/me", h) for h in headers]
    with serving([*serve, "--database-url", settings.database_url], port, core=None) as process:
        print("resident memory of the demo server")
        print(f"{'at the start':>20}{process.resident_mib():8.1f} MiB")
        for step in range(1, STEPS + 1):
            load = await run(port, [repeating(requests, REQUESTS // STEPS // CONNECTIONS) for _ in range(CONNECTIONS)])
            if load.failures:
                raise RuntimeError(f"{load.failures} of {load.requests} requests failed")
            print(f"{f'after {step * REQUESTS // STEPS:,}':>20}{process.resident_mib():8.1f} MiB")
