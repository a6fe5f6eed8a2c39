"""`grantwell users`."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from tests.cli.processes import COMMAND, environment, run
from tests.cli.terminal import Terminal

PASSWORD = "a long password"


def _added(terminal: Terminal, user: str, *words: str) -> None:
    terminal("users", "add", user, "--password-stdin", *words, stdin=f"{PASSWORD}\n")


@pytest.mark.requirement("A-345")
def test_users_are_added_listed_changed_and_deleted(migrated: Terminal) -> None:
    _added(migrated, "ada", "--admin")
    assert migrated.json("users", "add", "bob", GRANTWELL_PASSWORD=PASSWORD)["is_admin"] is False
    users = migrated.json("users", "list")
    assert [(user["user_id"], user["is_admin"], user["disabled_at"]) for user in users] == [
        ("ada", True, None),
        ("bob", False, None),
    ]
    assert all(set(user) == {"user_id", "name", "is_admin", "created_at", "disabled_at"} for user in users)
    assert migrated.json("users", "disable", "bob", "--yes")["disabled_at"] is not None
    assert "kept out" in migrated("users", "disable", "bob", "--yes").stdout
    assert migrated.json("users", "enable", "bob")["disabled_at"] is None
    assert migrated.json("users", "set-admin", "bob")["is_admin"] is True
    assert "no administrator" in migrated("users", "set-admin", "bob", "--no").stdout
    lines = migrated("users", "list", "--limit", "1").stdout.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["USER", "ada"]
    assert migrated.json("users", "delete", "bob", "--yes") == {"user_id": "bob", "deleted": True}
    assert "deleted" in migrated("users", "delete", "ada", "--yes").stdout
    assert migrated.json("users", "list") == []


@pytest.mark.requirement("A-345", "S-466")
def test_no_password_and_no_hash_is_ever_printed(migrated: Terminal) -> None:
    _added(migrated, "ada")
    outputs = [migrated("users", "list").output, migrated("users", "list", "--json").output]
    outputs.append(
        migrated("users", "set-password", "ada", "--json", "--yes", GRANTWELL_PASSWORD="another password").output
    )
    assert not [o for o in outputs if "argon2" in o or "password" in o or PASSWORD in o]
    for word in ("--password", "-p"):
        migrated("users", "add", "eve", word, PASSWORD, code=2)


@pytest.mark.requirement("S-256")
def test_a_new_password_and_a_disabled_user_end_grants(migrated: Terminal) -> None:
    _added(migrated, "ada")
    client = migrated.client()["client_id"]
    migrated.grant(client, "ada")
    migrated("users", "set-password", "ada", "--password-stdin", "--yes", stdin="another password\r\n")
    assert migrated.json("grants", "list", "--user", "ada") == []
    migrated.grant(client, "ada")
    migrated("users", "disable", "ada", "--yes")
    assert migrated.json("grants", "list", "--user", "ada") == []


@pytest.mark.requirement("G-311", "A-348")
def test_what_cannot_be_is_one_sentence(migrated: Terminal) -> None:
    _added(migrated, "ada")
    taken = migrated("users", "add", "ada", code=1, GRANTWELL_PASSWORD=PASSWORD)
    assert taken.stderr == "Error: There is a user ada already.\n"
    assert "at least 8 characters" in migrated("users", "add", "bob", code=1, GRANTWELL_PASSWORD="short").stderr
    assert "user id" in migrated("users", "add", "a b", code=1, GRANTWELL_PASSWORD=PASSWORD).stderr
    for command in ("disable", "enable", "set-admin", "delete"):
        assert "no user" in migrated("users", command, "ad", code=1).stderr
        migrated("users", command, "", code=2)
    assert "there is no terminal to ask" in migrated("users", "add", "bob", code=2).stderr
    assert "not UTF-8" in migrated("users", "add", "bob", "--password-stdin", code=1, stdin=b"\xff").stderr
    invalid = run(migrated.folder, "users", "add", "bob", "--password-stdin", stdin="")
    assert (invalid.returncode, invalid.stdout) == (1, "")
    assert len(migrated.json("users", "list")) == 1


@pytest.mark.requirement("G-313")
def test_a_user_cannot_be_changed_with_the_key_of_another_database(migrated: Terminal) -> None:
    _added(migrated, "ada")
    (migrated.folder / "wrong").write_text("0" * 64)
    (migrated.folder / "wrong").chmod(0o600)
    refused = migrated("users", "disable", "ada", "--secret-key-file", "wrong", code=1)
    assert "not written with the key wrong" in refused.stderr
    listed = migrated("users", "list", "--json", "--secret-key-file", "wrong")
    assert listed.stdout == "[]\n"
    assert "not written with the key wrong" in listed.stderr
    assert "not written" not in migrated("users", "list").stderr
    assert migrated.json("users", "list")[0]["disabled_at"] is None


@pytest.mark.requirement("A-345")
def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown(migrated: Terminal) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "users", "add", "ada"],
        env=environment(),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    shown = b""
    for prompt in (b"Password: ", b"Repeat for confirmation: "):
        while prompt not in shown:
            shown += os.read(master, 1024)
        os.write(master, PASSWORD.encode() + b"\n")
    assert process.wait(20) == 0
    shown += os.read(master, 1024)
    os.close(master)
    assert b"ada: added." in shown
    assert PASSWORD.encode() not in shown
