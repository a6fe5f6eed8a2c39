"""docs/deploy.md is true: its commands and files, in their order, with a real nginx and TLS."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import click
import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from grantwell.cli import main
from tests.docs.first_client import bearer, tokens_for
from tests.docs.machine import GUIDE, ROOT, Machine, commands_of, files_of, machine
from tests.interop.person import Person
from tests.resource.place import served

pytestmark = [pytest.mark.anyio, pytest.mark.system]

PASSWORD = "correct horse battery staple"

needs_nginx = pytest.mark.skipif(
    not (shutil.which("nginx") or Path("/usr/sbin/nginx").exists()), reason="nginx is not installed"
)


async def notes(scope: Scope, receive: Receive, send: Send) -> None:
    """An API that knows nothing of OAuth: it believes a header."""
    request = Request(scope, receive)
    await JSONResponse(
        {"notes of": request.headers.get("x-grantwell-user"), "authorization": request.headers.get("authorization")}
    )(scope, receive, send)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Machine]:
    """The machine, with the API of the example running on it."""
    async with served(notes) as upstream:
        with machine(tmp_path / "root", upstream) as made:
            yield made


async def run(place: Machine, *names: str) -> str:
    """Run blocks of the guide, one after the other."""
    return "".join([await asyncio.to_thread(place.run, name) for name in names])


@needs_nginx
@pytest.mark.requirement("G-01")
async def test_the_guide_leads_from_an_empty_machine_to_a_guarded_api_an_upgrade_and_back(place: Machine) -> None:
    await run(place, "install", "configure")
    place.put_files()
    assert "is valid" in await run(place, "prepare")
    await run(place, "start", "reload")

    report = await run(place, "examine")
    assert "FAILED" not in report
    assert "accepted: 0." in await run(place, "drill")

    trust = ssl.create_default_context(cafile=place.certificates.authority)
    transport = httpx.AsyncHTTPTransport(verify=trust)
    async with httpx.AsyncClient(base_url=place.origin, transport=transport) as http:
        assert (await http.get("/api/notes")).status_code == 401
        assert (await http.get("/readyz")).status_code == 404
        async with Person("alice", PASSWORD, transport=transport) as alice:
            tokens = await tokens_for(http, alice)
        answer = await http.get("/api/notes", headers=bearer(tokens) | {"X-Grantwell-User": "mallory"})
        assert answer.json() == {"notes of": "alice", "authorization": None}

        await run(place, "upgrade")
        assert (await http.get("/api/notes", headers=bearer(tokens))).status_code == 200

        await run(place, "rollback")
        assert (await http.get("/api/notes", headers=bearer(tokens))).status_code == 401
        assert (await http.get(f"http://127.0.0.1:{place.ports['80']}/api")).status_code == 301
    assert tokens["access_token"] not in place.log


@pytest.mark.requirement("G-01")
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path) -> None:
    text = files_of(GUIDE)["/etc/systemd/system/grantwell.service"]
    unit = tmp_path / "grantwell.service"
    unit.write_text(text.replace("/usr/local/bin/grantwell", "/bin/true").replace("User=grantwell", "User=root"))

    verified = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False
    )

    complaints = [line for line in verified.stderr.splitlines() if "grantwell.service" in line]
    assert (verified.returncode, complaints) == (0, [])


@pytest.mark.requirement("G-01")
def test_the_container_starts_a_command_that_there_is() -> None:
    lines = files_of(GUIDE)["Containerfile"].splitlines()
    (start,) = [json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
    (probe,) = [json.loads(line.removeprefix("HEALTHCHECK CMD ")) for line in lines if line.startswith("HEALTHCHECK")]
    program, command, *options = start

    assert program == "grantwell"
    found = main.get_command(click.Context(main), command)
    assert found is not None
    known = {option for parameter in found.params for option in parameter.opts}
    assert set(options) <= known
    compile(probe[2], "HEALTHCHECK", "exec")


def engine() -> str | None:
    """A program that can build containers here."""
    for name in ("podman", "docker"):
        if shutil.which(name) and subprocess.run([name, "info"], capture_output=True, check=False).returncode == 0:
            pulled = subprocess.run([name, "pull", "python:3.13-slim"], capture_output=True, timeout=300, check=False)
            return name if pulled.returncode == 0 else None
    return None


@pytest.mark.requirement("G-01")
def test_the_container_is_built_and_answers(tmp_path: Path) -> None:
    if (program := engine()) is None:
        pytest.skip("no container engine runs here, or it cannot have the image of Python")
    (tmp_path / "Containerfile").write_text(files_of(GUIDE)["Containerfile"])
    build = [program, "build", "--tag", "grantwell-guide", "--file", str(tmp_path / "Containerfile"), str(ROOT)]

    built = subprocess.run(build, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr
    asked = subprocess.run(
        [program, "run", "--rm", "grantwell-guide", "grantwell", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr


@pytest.mark.requirement("G-01")
def test_every_command_and_every_file_of_the_guide_is_used() -> None:
    used = set(re.findall(r'"(\w+)"', Path(__file__).read_text(encoding="utf-8")))
    assert set(commands_of(GUIDE)) <= used
    assert len(re.findall(r"```(?:toml|ini|nginx|dockerfile)", GUIDE)) == len(files_of(GUIDE))
    assert GUIDE.count("```sh") == len(commands_of(GUIDE)) + 1, "all but the commands of a container engine are run"


@pytest.mark.requirement("G-01")
def test_every_file_that_the_guide_points_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", GUIDE):
        assert (ROOT / "docs" / target).resolve().exists(), target
