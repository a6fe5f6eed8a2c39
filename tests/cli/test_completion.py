"""Completion by a shell."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest

from tests.cli.processes import environment, run
from tests.cli.terminal import Terminal

pytestmark = pytest.mark.requirement("G-610")


def _completed(terminal: Terminal, *words: str) -> set[str]:
    """What bash would offer behind these words; the last is what was typed of the next."""
    line = " ".join(["grantwell", *words])
    done = run(terminal.folder, _GRANTWELL_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words)))
    assert done.stderr == ""
    return {entry.partition(",")[2] for entry in done.stdout.splitlines() if entry}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(terminal: Terminal, shell: str) -> None:
    script = terminal("completion", shell).stdout
    assert "_GRANTWELL_COMPLETE" in script
    assert f"{shell}_complete" in script
    terminal("completion", "powershell", code=2)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_takes_the_script(terminal: Terminal) -> None:
    script = terminal("completion", "bash").stdout
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, env=environment(), check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_options_and_ids_are_offered(migrated: Terminal) -> None:
    assert {"clients", "grants", "users"} <= _completed(migrated, "")
    assert "--redirect-uri" in _completed(migrated, "clients", "create", "--r")
    client = migrated.client("--name", "One")["client_id"]
    other = migrated.client()["client_id"]
    migrated("users", "add", "ada", GRANTWELL_PASSWORD="a long password")
    grant = migrated.grant(client, "ada")
    assert _completed(migrated, "clients", "show", "") == {client, other}
    assert _completed(migrated, "clients", "show", client[:8]) == {client}
    assert _completed(migrated, "grants", "revoke", "") == {grant}
    assert _completed(migrated, "grants", "list", "--user", "a") == {"ada"}
    assert _completed(migrated, "users", "disable", "x") == set()


def test_where_there_is_no_database_or_a_wrong_configuration_nothing_is_offered(terminal: Terminal) -> None:
    assert _completed(terminal, "clients", "show", "") == set()
    assert list(terminal.folder.iterdir()) == []
    (terminal.folder / "grantwell.toml").write_text("[server\n")
    assert _completed(terminal, "clients", "show", "") == set()


def test_an_id_that_a_shell_would_run_is_not_offered(migrated: Terminal) -> None:
    client = migrated.client()["client_id"]
    with closing(sqlite3.connect("grantwell.db")) as database, database:
        database.execute("UPDATE oauth_clients SET client_id = 'https://evil.example/$(touch${IFS}x)'")
    assert client not in _completed(migrated, "clients", "show", "")
    assert _completed(migrated, "clients", "show", "") == set()
