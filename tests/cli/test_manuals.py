"""The manuals say what the program does."""

from __future__ import annotations

import re
from typing import Any

import pytest

from grantwell import OAuthProvider
from grantwell.cli.config import read
from tests.cli.documents import MEMBERS
from tests.cli.terminal import REDIRECT, Terminal
from tests.manuals import DOCS, command_page, configuration_page

pytestmark = pytest.mark.requirement("G-611")

PASSWORD = "a long password"


@pytest.mark.parametrize(
    ("name", "page"), [("configuration.md", configuration_page()), ("cli.md", command_page())], ids=["file", "commands"]
)
def test_a_manual_is_what_the_program_says_of_itself(name: str, page: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == page, "run: python -m tests.manuals"


def test_the_example_of_the_manual_is_a_configuration_that_holds(terminal: Terminal) -> None:
    example = re.findall(r"```toml\n(.*?)```", configuration_page(), re.DOTALL)[0]
    (terminal.folder / "grantwell.toml").write_text(example)
    assert read(terminal.folder / "grantwell.toml", {}).configuration.api[0].prefix == "/api"
    terminal("config", "check")


async def _refusal(provider: OAuthProvider) -> str:
    return provider.helpers.note_refusal(
        endpoint="/token", code="invalid_grant", description="No.", reason="the grant has ended", status=400
    )


def test_json_has_the_members_that_are_promised(terminal: Terminal) -> None:
    (terminal.folder / "grantwell.toml").write_text("[server]\nissuer = 'http://127.0.0.1:8000'\n")
    told: dict[str, Any] = {}

    def told_by(command: str, *words: str, **environment: str) -> Any:
        told[command] = terminal.json(*command.split(" "), *words, **environment)
        return told[command]

    told_by("migrate --dry-run")
    told_by("migrate")
    told_by("config check")
    shown = terminal.json("config", "show")
    assert all(set(value) == {"value", "source"} for value in shown.values())
    client = told_by("clients create", "--redirect-uri", REDIRECT)["client_id"]
    for command in ("clients show", "clients rotate-secret"):
        told_by(command, client)
    told_by("clients update", client, "--redirect-uri", REDIRECT)
    told_by("clients initial-access-token")
    told["clients list"] = terminal.json("clients", "list")[0]
    for command in ("users add", "users set-password"):
        told_by(command, "ada", *(["--yes"] if command.endswith("password") else []), GRANTWELL_PASSWORD=PASSWORD)
    grant = terminal.grant(client, "ada")
    told["grants list"] = terminal.json("grants", "list")[0]
    told_by("grants show", grant)
    told_by("clients delete --dry-run", client)
    told_by("grants revoke --dry-run", grant)
    told_by("grants revoke", grant, "--yes")
    told["users list"] = terminal.json("users", "list")[0]
    told_by("users set-admin", "ada")
    told_by("users disable", "ada", "--yes")
    told_by("users enable", "ada")
    told_by("users delete --dry-run", "ada")
    told_by("users delete", "ada", "--yes")
    told_by("clients delete", client, "--yes")
    told["events"] = terminal.json("events")[0]
    told_by("explain", terminal.with_provider(_refusal))
    told_by("purge")
    told_by("backup", "copy.db")
    told_by("restore", "copy.db", "--yes")
    for command, members in MEMBERS.items():
        if command != "config show":
            missing = set(members) - set(told[command])
            assert not missing, (command, missing)
    for command in ("grants show", "users list", "grants revoke", "events", "explain", "purge", "migrate"):
        assert set(told[command]) == set(MEMBERS[command]), command
