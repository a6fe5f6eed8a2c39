"""What revokes or deletes shows what it would hit, asks, and hits exactly that."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pytest

from tests.cli.processes import run
from tests.cli.screen import at_a_terminal
from tests.cli.terminal import Terminal

PASSWORD = "a long password"

pytestmark = pytest.mark.requirement("G-606")


@pytest.fixture
def stocked(migrated: Terminal) -> Terminal:
    """Two users with grants of two clients."""
    for user in ("ada", "bob"):
        migrated("users", "add", user, GRANTWELL_PASSWORD=PASSWORD)
    for number in range(2):
        client = migrated.client("--name", f"Client {number}")["client_id"]
        for user in ("ada", "bob"):
            migrated.grant(client, user)
    return migrated


def _clients(terminal: Terminal) -> list[str]:
    return [client["client_id"] for client in terminal.json("clients", "list")]


def _grants(terminal: Terminal) -> set[str]:
    return {grant["grant_id"] for grant in terminal.json("grants", "list")}


def _destructive(terminal: Terminal) -> list[list[str]]:
    grant = terminal.json("grants", "list")[0]["grant_id"]
    return [
        ["grants", "revoke", grant],
        ["grants", "revoke", "--user", "ada"],
        ["grants", "revoke", "--all"],
        ["clients", "delete", _clients(terminal)[0]],
        ["users", "disable", "ada"],
        ["users", "delete", "ada"],
    ]


def test_without_a_terminal_and_without_a_yes_nothing_happens(stocked: Terminal) -> None:
    before = _grants(stocked)
    for words in _destructive(stocked):
        result = stocked(*words, code=2, stdin="y\n")
        assert "say --yes" in result.stderr
        assert "--dry-run" in result.stderr
    assert _grants(stocked) == before
    assert [user["disabled_at"] for user in stocked.json("users", "list")] == [None, None]


def test_a_dry_run_lists_what_would_be_hit_and_changes_nothing(stocked: Terminal) -> None:
    before = _grants(stocked)
    adas = {grant["grant_id"] for grant in stocked.json("grants", "list", "--user", "ada")}
    for words in _destructive(stocked):
        assert "nothing was changed" in stocked(*words, "--dry-run").stderr
        assert stocked.json(*words, "--dry-run")["dry_run"] is True
    looked = stocked.json("grants", "revoke", "--user", "ada", "--dry-run")
    assert (looked["would_revoke"], {grant["grant_id"] for grant in looked["grants"]}) == (2, adas)
    assert set(stocked.json("users", "delete", "ada", "--dry-run")["would_end"]["grants"]) == adas
    client = _clients(stocked)[0]
    theirs = {grant["grant_id"] for grant in stocked.json("grants", "list", "--client", client)}
    assert set(stocked.json("clients", "delete", client, "--dry-run")["would_end"]["grants"]) == theirs
    lines = stocked("grants", "revoke", "--user", "ada", "--dry-run").stdout.splitlines()
    assert {line.partition(" ")[0] for line in lines[1:]} == adas
    assert _grants(stocked) == before
    assert len(stocked.json("users", "list")) == len(_clients(stocked)) == 2


def test_a_no_at_the_terminal_changes_nothing_and_a_yes_does_what_was_shown(stocked: Terminal) -> None:
    words = ("grants", "revoke", "--user", "ada")
    refused = at_a_terminal(stocked.folder, *words, answers=(b"n\n",))
    assert refused.code == 1
    assert "Revoke 2 grants of 1 user and 2 clients? [y/N]:" in refused.text
    assert all(grant in refused.text for grant in _adas(stocked))
    assert len(_adas(stocked)) == 2
    accepted = at_a_terminal(stocked.folder, *words, answers=(b"y\n",))
    assert accepted.code == 0
    assert "2 grants are revoked." in accepted.text
    assert _adas(stocked) == set()
    assert len(_grants(stocked)) == 2


def _adas(terminal: Terminal) -> set[str]:
    return {grant["grant_id"] for grant in terminal.json("grants", "list", "--user", "ada")}


def test_a_long_selection_is_cut_before_the_question(migrated: Terminal) -> None:
    client = migrated.client()["client_id"]
    for number in range(22):
        migrated.grant(client, f"u{number}")
    shown = at_a_terminal(migrated.folder, "grants", "revoke", "--all", answers=(b"n\n",), width=200).text
    assert "… and 2 more; --dry-run lists them all." in shown
    assert "Revoke 22 grants of 22 users and 1 client?" in shown
    assert migrated.json("grants", "revoke", "--all", "--dry-run")["would_revoke"] == 22
    ended = at_a_terminal(migrated.folder, "grants", "revoke", "--all", "--yes")
    assert "22 grants are revoked." in ended.text


@pytest.mark.requirement("G-607", "S-169")
def test_grants_are_revoked_in_bulk_by_what_they_have_in_common(stocked: Terminal) -> None:
    now = int(time.time())
    one, other = _clients(stocked)
    with closing(sqlite3.connect("grantwell.db")) as database, database:
        database.execute("UPDATE oauth_grants SET expires_at = ?", (now + 9999,))
        database.execute("UPDATE oauth_grants SET created_at = ? WHERE client_id = ?", (now - 7200, one))
        database.execute(
            "UPDATE oauth_grants SET last_used_at = ? WHERE client_id = ? AND user_id = 'ada'", (now - 60, one)
        )

    def would(*words: str) -> set[tuple[str, str]]:
        looked = stocked.json("grants", "revoke", *words, "--dry-run")["grants"]
        assert looked == stocked.json("grants", "list", *[word for word in words if word != "--all"])
        return {(grant["user_id"], grant["client_id"]) for grant in looked}

    assert would("--older-than", "1h") == {("ada", one), ("bob", one)}
    assert would("--older-than", "1h", "--user", "bob") == {("bob", one)}
    assert would("--unused-for", "1h") == {("bob", one)}
    assert would("--older-than", "3h") == set()
    assert would("--all") == {("ada", one), ("bob", one), ("ada", other), ("bob", other)}
    assert stocked.json("grants", "revoke", "--unused-for", "1h", "--yes") == {"revoked": 1}
    assert stocked.json("grants", "revoke", "--older-than", "1h", "--yes") == {"revoked": 1}
    assert stocked.json("grants", "revoke", "--client", other, "--unused-for", "1h", "--yes") == {"revoked": 0}
    assert stocked.json("grants", "revoke", "--all", "--yes") == {"revoked": 2}
    for wrong in (["--all", "--user", "ada"], ["--older-than", "x"], ["--unused-for", "0"], []):
        stocked("grants", "revoke", *wrong, "--yes", code=2)


def test_one_grant_is_shown_with_all_that_is_known_of_it(stocked: Terminal) -> None:
    grant = stocked.json("grants", "list")[0]
    assert stocked.json("grants", "show", grant["grant_id"]) == grant
    assert f"grant_id      {grant['grant_id']}" in stocked("grants", "show", grant["grant_id"]).stdout
    assert "no grant with this id" in stocked("grants", "show", grant["grant_id"][:-1], code=1).stderr


@pytest.mark.requirement("G-314")
def test_a_dry_run_of_purge_counts_on_a_copy(stocked: Terminal) -> None:
    with closing(sqlite3.connect("grantwell.db")) as database, database:
        database.execute("UPDATE oauth_grants SET created_at = 1, expires_at = 2")
    looked = stocked.json("purge", "--dry-run")
    assert (looked["dry_run"], looked["grants"]) == (True, 4)
    assert "would be removed; nothing was changed" in stocked("purge", "--dry-run").stdout
    assert not [path for path in stocked.folder.iterdir() if not path.name.startswith("grantwell.")]
    assert len(stocked.json("grants", "list", "--state", "ended")) == 4
    assert stocked.json("purge")["grants"] == 4


@pytest.mark.requirement("G-314")
def test_whoever_watches_a_long_work_sees_how_far_it_is(stocked: Terminal) -> None:
    with closing(sqlite3.connect("grantwell.db")) as database, database:
        database.execute("UPDATE oauth_grants SET created_at = 1, expires_at = 2")
    assert "Purging" in at_a_terminal(stocked.folder, "purge").text
    assert run(stocked.folder, "purge").stderr == ""
