"""How results look: at a terminal of any width, in a pipe, and with texts that want to play tricks."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time

import pytest

from tests.cli.processes import COMMAND, environment, run
from tests.cli.screen import at_a_terminal
from tests.cli.terminal import Terminal

pytestmark = pytest.mark.system

TRICKS = "[red]Evil[/red] [link=https://evil.example]x[/link] :skull: \x1b[2J\u202etxt"
INERT = "[red]Evil[/red] [link=https://evil.example]x[/link] :skull: \\x1b[2J\\u202etxt"

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def _named(terminal: Terminal, name: str) -> str:
    """A client with a name that no registration would accept."""
    import sqlite3
    from contextlib import closing

    client: str = terminal.client()["client_id"]
    with closing(sqlite3.connect("grantwell.db")) as database, database:
        database.execute("UPDATE oauth_clients SET name = ? WHERE client_id = ?", (name, client))
    return client


@pytest.mark.requirement("A-346")
def test_a_name_is_text_and_neither_markup_nor_a_link_nor_a_command_of_the_terminal(migrated: Terminal) -> None:
    client = _named(migrated, TRICKS)
    for words in (["clients", "list"], ["clients", "delete", client, "--dry-run"]):
        shown = at_a_terminal(migrated.folder, *words, width=300)
        assert shown.code == 0, shown.text
        assert "\x1b[2J" not in shown.text
        assert "\x1b]8;" not in shown.text
        assert "\u202e" not in shown.text
        assert run(migrated.folder, *words).returncode == 0
    assert INERT in _COLOURS.sub("", at_a_terminal(migrated.folder, "clients", "list", width=300).text)
    assert INERT in run(migrated.folder, "clients", "list").stdout
    asked = at_a_terminal(migrated.folder, "clients", "delete", client, width=300, answers=(b"n\n",)).text
    assert INERT in asked


@pytest.mark.requirement("G-608")
@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_table_fits_the_terminal_and_loses_nothing(migrated: Terminal, width: int) -> None:
    client = migrated.client("--name", "A name that is rather long for a table")["client_id"]
    lines = _COLOURS.sub("", at_a_terminal(migrated.folder, "clients", "list", width=width).text).splitlines()
    assert max(map(len, lines)) <= width
    squeezed = "".join("".join(lines).split())
    if width >= 80:
        assert client in "".join(lines)
    for letter in "ratherlong":
        assert letter in squeezed


@pytest.mark.requirement("G-608")
def test_in_a_pipe_there_are_no_colours_and_the_columns_do_not_depend_on_the_surroundings(migrated: Terminal) -> None:
    migrated.client("--name", "A name that is rather long for a table " * 2)
    outputs = {
        run(migrated.folder, "clients", "list", **more).stdout
        for more in ({"COLUMNS": "20"}, {"TERM": "xterm-256color", "COLUMNS": "300"}, {"FORCE_COLOR": "1"}, {})
    }
    (output,) = outputs
    assert "\x1b" not in output
    heading, row = output.splitlines()
    assert row[heading.index("NAME") :].startswith("A name")
    assert row[heading.index("ORIGIN") :].startswith("operator")


@pytest.mark.requirement("G-608")
def test_one_thing_is_shown_member_by_member_at_a_terminal_too(migrated: Terminal) -> None:
    client = migrated.client("--name", "[b]bold[/b]")["client_id"]
    shown = _COLOURS.sub("", at_a_terminal(migrated.folder, "clients", "show", client).text)
    assert re.search(rf"^client_id +{client}$", shown, re.MULTILINE)
    assert "[b]bold[/b]" in shown
    assert "\x1b" not in at_a_terminal(migrated.folder, "clients", "list", NO_COLOR="1", TERM="dumb").text


@pytest.mark.requirement("G-608", "G-311")
def test_a_reader_that_goes_away_and_ctrl_c_are_no_traceback(migrated: Terminal) -> None:
    for number in range(3):
        migrated.client("--name", f"Client {number} " + "x" * 80)
    for words in (["clients", "list"], ["clients", "list", "--json"], ["config", "show"], ["--help"]):
        with subprocess.Popen(
            [*COMMAND, *words],
            cwd=migrated.folder,
            env=environment(GRANTWELL_SERVER__ISSUER="https://auth.example.com"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert "Traceback" not in process.stderr.read()
            assert process.wait(30) in (0, 1)


@pytest.mark.requirement("G-311")
def test_ctrl_c_ends_a_command_that_waits_without_a_traceback(migrated: Terminal) -> None:
    import sqlite3

    database = sqlite3.connect("grantwell.db", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    process = subprocess.Popen(
        [*COMMAND, "users", "add", "ada"],
        cwd=migrated.folder,
        env=environment(GRANTWELL_PASSWORD="a long password"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Python has set up its signals once the command is at the lock; before, the default would end it as well.
    for _ in range(200):
        if (migrated.folder / "grantwell.key").exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    database.close()
    assert process.returncode == 1
    assert "Traceback" not in stderr


@pytest.mark.requirement("G-610")
def test_the_version_is_told(terminal: Terminal) -> None:
    assert re.fullmatch(r"grantwell \S.*\n", terminal("--version").stdout)


@pytest.mark.requirement("G-609")
def test_what_is_said_of_a_client_is_changed_and_the_rest_stays(migrated: Terminal) -> None:
    client = migrated.client("--name", "Before", "--scope", "read")["client_id"]
    changed = migrated.json("clients", "update", client, "--name", "After")
    assert (changed["client_name"], changed["scope"]) == ("After", "read")
    changed = migrated.json(
        "clients", "update", client, "--redirect-uri", "https://a.example/cb", "--redirect-uri", "https://b.example/cb"
    )
    assert changed["redirect_uris"] == ["https://a.example/cb", "https://b.example/cb"]
    assert migrated.json("clients", "update", client, "--scope", "read write")["scope"] == "read write"
    assert json.loads(migrated("clients", "show", client, "--json").stdout)["client_name"] == "After"
    assert "no client with this id" in migrated("clients", "update", "x", "--name", "y", code=1).stderr
    migrated("clients", "update", client, code=2)
    assert "redirect" in migrated("clients", "update", client, "--redirect-uri", "javascript:x", code=1).stderr
