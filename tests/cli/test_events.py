"""`grantwell events`: what happened, listed and followed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from grantwell import OAuthProvider
from tests.cli.processes import COMMAND, environment
from tests.cli.terminal import Terminal

pytestmark = pytest.mark.requirement("G-506")


async def _refuse(provider: OAuthProvider) -> str:
    return provider.helpers.note_refusal(
        endpoint="/token", code="invalid_grant", description="No.", reason="the grant has ended", status=400
    )


def names(events: list[dict[str, Any]]) -> list[str]:
    """What happened, in the order of the listing."""
    return [event["name"] for event in events]


def test_what_commands_do_is_there_at_once_as_the_operators(migrated: Terminal) -> None:
    client = migrated.client()["client_id"]
    migrated("users", "add", "bob", GRANTWELL_PASSWORD="correct horse")
    migrated("users", "set-admin", "bob")
    migrated("users", "disable", "bob", "--yes")
    migrated("users", "delete", "bob", "--yes")
    migrated("clients", "delete", client, "--yes")
    migrated("purge")
    listed = migrated.json("events")
    assert names(listed) == [
        "purged",
        "client_deleted",
        "user_deleted",
        "user_disabled",
        "admin_changed",
        "user_added",
        "client_registered",
    ]
    assert {event["actor"] for event in listed} == {"operator"}
    assert {event["user_id"] for event in listed} == {None, "bob"}


def test_events_are_listed_by_what_they_are_about(migrated: Terminal) -> None:
    one, other = migrated.client()["client_id"], migrated.client()["client_id"]
    grant = migrated.grant(one, "u1")
    migrated.grant(other, "u2")
    migrated("grants", "revoke", grant, "--yes")
    reference = migrated.with_provider(_refuse)
    assert names(migrated.json("events", "--user", "u1")) == ["grant_revoked", "grant_issued"]
    assert names(migrated.json("events", "--client", other)) == ["grant_issued", "client_registered"]
    assert names(migrated.json("events", "--grant", grant)) == ["grant_revoked", "grant_issued"]
    (refused,) = migrated.json("events", "--name", "refused")
    assert (refused["reference"], refused["reason"]) == (reference, "the grant has ended")
    assert len(migrated.json("events", "--since", "1h")) == 6
    assert len(migrated.json("events", "--limit", "2")) == 2
    assert migrated.json("events", "--user", "u") == []
    lines = migrated("events").stdout.splitlines()
    assert lines[0].split() == ["TIME", "EVENT", "USER", "CLIENT", "GRANT", "BY", "FROM", "REFERENCE", "REASON"]
    assert len(lines) == 7
    assert reference in lines[1]
    for words in (["--since", "soon"], ["--limit", "0"], ["--user", ""], ["x"]):
        migrated("events", *words, code=2)


def test_old_events_go_with_the_purge_unless_they_are_to_stay(migrated: Terminal) -> None:
    migrated.client()
    assert migrated.json("purge", "--event-days", "1")["events"] == 0
    assert migrated.json("purge", "--keep-events")["events"] == 0
    assert len(migrated.json("events")) == 3


def test_what_happens_is_followed_until_it_is_interrupted(migrated: Terminal, tmp_path: Path) -> None:
    migrated.client()
    command = [*COMMAND, "events", "--follow", "--json", "--since", "1h"]
    child = environment(PYTHONUNBUFFERED="1")
    with subprocess.Popen(command, cwd=tmp_path, env=child, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        stuck = threading.Timer(60, following.kill)
        stuck.start()
        try:
            assert json.loads(following.stdout.readline())["name"] == "client_registered"
            migrated("users", "add", "bob", GRANTWELL_PASSWORD="correct horse")
            migrated("users", "add", "eve", GRANTWELL_PASSWORD="correct horse")
            followed = [json.loads(following.stdout.readline()) for _ in range(2)]
            assert [(event["name"], event["user_id"]) for event in followed] == [
                ("user_added", "bob"),
                ("user_added", "eve"),
            ]
            os.kill(following.pid, signal.SIGINT)
            assert following.stdout.read() == ""
            assert following.wait(30) == 0
        finally:
            stuck.cancel()
            following.kill()
