"""The README is true: its program runs as it stands, by its own commands, and its pictures show the tree."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from click import Context, Group
from click.testing import CliRunner

from grantwell._protocol.tokens import (
    format_access_token,
    format_client_secret,
    format_code,
    format_grant_id,
    format_refresh_token,
)
from grantwell.cli import main
from tests.docs.first_client import bearer, tokens_for
from tests.interop.person import Person

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PASSWORD = "correct horse battery staple"


def _program() -> str:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1, "the README has one program"
    program: str = blocks[0]
    return program


def test_the_program_is_short_enough_to_be_typed() -> None:
    code = [line for line in _program().splitlines() if line.strip()]
    assert len(code) <= 20, len(code)


@pytest.mark.requirement("G-01")
async def test_the_program_protects_an_api_with_real_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = CliRunner(env={"GRANTWELL_PASSWORD": PASSWORD})
    for arguments in (["migrate"], ["users", "add", "alice"]):
        assert f"grantwell {' '.join(arguments)}" in README
        outcome = await asyncio.to_thread(command.invoke, main, arguments)
        assert outcome.exit_code == 0, outcome.output
    names: dict[str, object] = {}
    exec(compile(_program(), "README.md", "exec"), names)
    app = names["app"]
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with (
        app.running(),  # type: ignore[attr-defined]
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http,
        Person("alice", PASSWORD, transport=transport) as alice,
    ):
        refused = await http.get("/api/notes")
        assert refused.status_code == 401
        assert "resource_metadata=" in refused.headers["www-authenticate"]
        answer = await http.get("/api/notes", headers=bearer(await tokens_for(http, alice)))
        assert answer.json() == {"notes of": "alice"}


@pytest.mark.requirement("S-182")
def test_the_lengths_of_what_is_issued_are_those_that_are_told() -> None:
    grant_id, secret = format_grant_id(bytes(12)), bytes(32)
    code, access = format_code(grant_id, secret), format_access_token(grant_id, secret)
    refresh, client_secret = format_refresh_token(grant_id, bytes(16), secret), format_client_secret(secret)
    told = " ".join(README.split())
    assert len(code) == len(access)
    assert f"a code and an access token have {len(code)} characters" in told
    assert f"a refresh token {len(refresh)}, a client secret {len(client_secret)}." in told


def test_the_picture_of_the_house_shows_what_is_there() -> None:
    picture = README.partition("## The house")[2].partition("```")[2].partition("```")[0]
    folder = Path()
    for line in picture.splitlines():
        names = re.split(r"\s{2,}", line.strip())[0].split(" ")
        for name in filter(None, names):
            place = folder / name if line.startswith(" ") else Path(name)
            assert (ROOT / place).exists(), place
        if line and not line.startswith(" "):
            folder = Path(names[0])


@pytest.mark.requirement("G-01")
def test_the_commands_for_an_api_in_another_language_lead_to_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = CliRunner(env={"GRANTWELL_PASSWORD": PASSWORD})
    block = README.partition("## Put it in front of anything else")[2].partition("```\n")[2].partition("```")[0]
    commands = [line.split()[1:] for line in block.splitlines() if line.startswith("grantwell ")]
    assert [words[0] for words in commands] == ["init", "migrate", "users", "serve"]
    for words in [*commands[:-1], ["config", "check"]]:
        outcome = command.invoke(main, words)
        assert outcome.exit_code == 0, outcome.output


@pytest.mark.requirement("G-01")
def test_every_command_that_is_named_is_there() -> None:
    for line in re.findall(r"^grantwell .*$", README, re.MULTILINE):
        words = [word for word in re.split(r"\s{2,}#|\s", line) if word.isalpha() and word.islower()][1:]
        outcome = CliRunner().invoke(main, [*words[:1], "--help"])
        assert outcome.exit_code == 0, line
        if isinstance(group := main.get_command(Context(main), words[0]), Group):
            assert words[1] in group.list_commands(Context(group)), line


@pytest.mark.requirement("G-01")
def test_every_file_that_is_pointed_to_is_there() -> None:
    targets = re.findall(r'\]\(([^)#:]+)\)|(?:src|srcset)="([^"]+)"', README)
    assert len(targets) > 10
    for target in ("".join(found) for found in targets):
        assert (ROOT / target).exists(), target
