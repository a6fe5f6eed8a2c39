"""Runs the JavaScript clients of the folder `node`, with the libraries that its lock file names."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop.person import Person

_SOURCES = Path(__file__).with_name("node")
_INSTALL_SECONDS = 180
_RUN_SECONDS = 60
_IMPATIENT = ("--fetch-retries=1", "--fetch-retry-mintimeout=500")
_OUT_OF_REACH = (
    *("EAI_AGAIN", "ENOTFOUND", "ENETUNREACH", "EHOSTUNREACH", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT"),
    *("ERR_SOCKET_TIMEOUT", "FETCH_ERROR"),
)

Facts = dict[str, Any]


@dataclass(frozen=True)
class Node:
    """A folder with the scripts and their libraries."""

    folder: Path

    async def run(self, script: str, scenario: str, person: Person, **environment: str) -> Facts:
        """Let a script play a scenario, and answer it what the browser of the person comes back with.

        A script writes JSON, one object a line: `open` and `decision` for a URL that somebody has to open, and at its
        end `facts`, which are returned. Raises AssertionError with all that it wrote if it fails.
        """
        process = await asyncio.create_subprocess_exec(
            "node",
            f"{script}.mjs",
            scenario,
            cwd=self.folder,
            env=_without_settings() | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        facts: Facts | None = None
        complaints = asyncio.create_task(process.stderr.read())
        try:
            async with asyncio.timeout(_RUN_SECONDS):
                async for line in process.stdout:
                    said = json.loads(line)
                    if "facts" in said:
                        facts = said["facts"]
                    else:
                        came_back = await person.answer(said["open"], said["redirect_uri"], said["decision"])
                        process.stdin.write(f"{came_back}\n".encode())
                        await process.stdin.drain()
                code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            written = (await complaints).decode()
        assert code == 0, f"{script} {scenario}:\n{written}"
        assert facts is not None, f"{script} {scenario} ended without a word:\n{written}"
        return facts


def install(folder: Path, sources: Path = _SOURCES) -> Node:
    """Copy a folder and install the libraries it locks. Skips the test that asks, and says why, if it cannot."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not found: no JavaScript can be run")
    place = folder / "node"
    shutil.copytree(sources, place, ignore=shutil.ignore_patterns("node_modules"))
    try:
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", *_IMPATIENT],
            cwd=place,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not get the libraries from its registry in time")
    code = re.search(r"^npm error code (\w+)$", done.stderr, re.MULTILINE)
    if code and code[1] in _OUT_OF_REACH:
        pytest.skip(f"npm does not reach its registry ({code[1]})")
    assert done.returncode == 0, done.stderr
    return Node(place)


def _without_settings() -> dict[str, str]:
    """The environment, without what would change how Node checks certificates."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NODE_")}
