"""`grantwell migrate`, `grantwell purge`, and what every command does without a database."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.cli.terminal import REDIRECT, Terminal

READING = [
    ["clients", "list"],
    ["clients", "show", "x"],
    ["clients", "delete", "x"],
    ["clients", "create", "--public", "--redirect-uri", REDIRECT],
    ["grants", "list"],
    ["grants", "revoke", "x"],
    ["grants", "revoke", "--user", "x"],
    ["users", "list"],
    ["users", "delete", "x"],
    ["users", "enable", "x"],
    ["purge"],
]


@pytest.mark.requirement("G-311")
@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_without_a_schema_each_command_says_which_one_to_run_and_makes_no_file(
    terminal: Terminal, words: list[str]
) -> None:
    result = terminal(*words, code=1)
    assert "Run: grantwell migrate --database-url sqlite+aiosqlite:///grantwell.db" in result.stderr
    assert result.stdout == ""
    assert list(terminal.folder.iterdir()) == []


@pytest.mark.requirement("G-311")
def test_databases_that_cannot_be_used_are_one_sentence(migrated: Terminal) -> None:
    (migrated.folder / "text.db").write_text("This is no database at all." * 50)
    with closing(sqlite3.connect("grantwell.db")) as database, database:
        database.execute("UPDATE oauth_schema_version SET version_num = '9999'")
    for url, sentence in {
        "sqlite+aiosqlite:///grantwell.db": "which this Grantwell does not know",
        "sqlite+aiosqlite:///text.db": "is not an SQLite database",
        "sqlite+aiosqlite:///no/such/folder.db": "no/such/folder.db",
        "sqlite+aiosqlite://": "memory",
        "mysql://user:secret@host/name": "not supported",
        "what?": "cannot be read",
    }.items():
        for words in (["grants", "list"], ["migrate"], ["users", "list"]):
            result = migrated(*words, "--database-url", url, code=1)
            assert sentence in result.stderr, (url, words)
            assert "secret" not in result.stderr
            assert len(result.stderr.splitlines()) == 1


def test_migrating_twice_is_harmless(terminal: Terminal) -> None:
    assert terminal.json("migrate", "--dry-run")["would_apply"] == ["0001", "0002", "0003"]
    assert list(terminal.folder.iterdir()) == []
    assert set(terminal.json("migrate")) == {"schema_version", "applied"}
    assert "nothing is to be done" in terminal("migrate", "--dry-run").stdout
    assert "The schema is at version" in terminal("migrate").stdout
    assert (terminal.folder / "grantwell.db").stat().st_mode & 0o777 == 0o600
    url = "sqlite+aiosqlite:///other.db"
    terminal("migrate", "--database-url", url)
    assert terminal.json("clients", "list", GRANTWELL_DATABASE_URL=url) == []


@pytest.mark.requirement("G-314", "C-236")
def test_purging_goes_on_until_nothing_is_left(migrated: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grantwell.cli.housekeeping._STEP_ROWS", 2)
    kept = migrated.client()["client_id"]
    for user in range(5):
        migrated.grant(kept, f"u{user}")
    with closing(sqlite3.connect("grantwell.db")) as database, database:
        database.execute("UPDATE oauth_grants SET created_at = 1, expires_at = 2")
    result = migrated("purge", "--json")
    assert '"grants": 5' in result.stdout
    assert result.stderr == "", "nobody watches"
    assert migrated.json("grants", "list", "--state", "ended") == []
    assert migrated.json("clients", "list")[0]["client_id"] == kept
    assert "0 grants" in migrated("purge").stdout


@pytest.mark.requirement("G-314")
def test_purging_removes_unused_clients_that_registered_themselves_unless_they_are_to_stay(migrated: Terminal) -> None:
    mine, theirs = migrated.client()["client_id"], migrated.client()["client_id"]
    with closing(sqlite3.connect("grantwell.db")) as database, database:
        database.execute("UPDATE oauth_clients SET created_at = 1")
        database.execute("UPDATE oauth_clients SET origin = 'registration' WHERE client_id = ?", (theirs,))
    assert migrated.json("purge", "--keep-clients")["clients"] == 0
    assert migrated.json("purge", "--unused-client-days", "30")["clients"] == 1
    assert [client["client_id"] for client in migrated.json("clients", "list")] == [mine]
    migrated("purge", "--unused-client-days", "0", code=2)


@pytest.mark.requirement("G-314")
def test_purging_keeps_to_what_is_configured(migrated: Terminal) -> None:
    migrated.client()
    with closing(sqlite3.connect("grantwell.db")) as database, database:
        database.execute("UPDATE oauth_clients SET created_at = 1, last_used_at = 1, origin = 'registration'")
    for lifetime, removed in (("'none'", 0), ("'36500d'", 0), ("'30d'", 1)):
        (migrated.folder / "grantwell.toml").write_text(
            f"[server]\nissuer = 'http://127.0.0.1:8000'\n[oauth]\nunused_client_ttl = {lifetime}\n"
        )
        assert migrated.json("purge", "--dry-run")["clients"] == removed
        assert migrated.json("purge", "--dry-run", "--unused-client-days", "30")["clients"] == 1


@pytest.mark.parametrize("words", [[], ["clients"], ["no-such-command"], ["clients", "rm"]], ids=" ".join)
def test_a_command_that_is_none_is_wrong_usage(terminal: Terminal, words: list[str]) -> None:
    assert "Usage: grantwell" in terminal(*words, code=2).stderr


def test_every_command_tells_what_it_does(terminal: Terminal) -> None:
    for words in (["--help"], ["serve", "-h"], ["users", "set-password", "--help"]):
        assert "Usage: grantwell" in terminal(*words).stdout
