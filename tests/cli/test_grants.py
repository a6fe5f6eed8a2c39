"""`grantwell grants`."""

from __future__ import annotations

import pytest

from tests.cli.terminal import Terminal


@pytest.mark.requirement("S-169")
def test_an_operator_lists_grants_by_user_client_and_state(migrated: Terminal) -> None:
    one, other = migrated.client()["client_id"], migrated.client()["client_id"]
    first, second = migrated.grant(one, "u1"), migrated.grant(other, "u1")
    third = migrated.grant(one, "u2")

    def listed(*words: str) -> set[str]:
        return {grant["grant_id"] for grant in migrated.json("grants", "list", *words)}

    assert listed() == {first, second, third}
    assert listed("--user", "u1") == {first, second}
    assert listed("--client", one) == {first, third}
    assert listed("--client", one, "--user", "u2", "--state", "pending") == {third}
    assert listed("--state", "active") == set()
    assert listed("--user", "u") == set()
    assert len(listed("--limit", "2")) == 2
    migrated("grants", "revoke", first, "--yes")
    (ended,) = migrated.json("grants", "list", "--state", "ended")
    assert (ended["grant_id"], ended["state"], ended["revoked_reason"]) == (first, "ended", "operator")
    assert ended["scopes"] == ["read"]
    lines = migrated("grants", "list").stdout.splitlines()
    assert lines[0].split("  ")[0] == "GRANT"
    assert {line.partition(" ")[0] for line in lines[1:]} == {second, third}


@pytest.mark.requirement("S-169")
def test_an_operator_revokes_one_grant_or_those_of_a_user_or_a_client(migrated: Terminal) -> None:
    one, other = migrated.client()["client_id"], migrated.client()["client_id"]
    grant = migrated.grant(one, "u1")
    for client, user in ((one, "u1"), (one, "u2"), (other, "u2"), (other, "u3")):
        migrated.grant(client, user)
    assert migrated.json("grants", "revoke", grant, "--yes") == {"revoked": 1}
    assert migrated.json("grants", "revoke", "--user", "u2", "--client", other, "--yes") == {"revoked": 1}
    assert migrated("grants", "revoke", "--client", one, "--yes").stdout == "2 grants are revoked.\n"
    assert migrated("grants", "revoke", "--user", "u3", "--yes").stdout == "1 grant is revoked.\n"
    assert migrated.json("grants", "revoke", "--user", "u3") == {"revoked": 0}
    assert migrated.json("grants", "list") == []


@pytest.mark.requirement("A-348")
def test_only_a_whole_id_names_a_grant(migrated: Terminal) -> None:
    client = migrated.client()["client_id"]
    grant = migrated.grant(client)
    for wrong in (grant[:-1], grant + "A", "*", " "):
        assert "no grant with this id" in migrated("grants", "revoke", wrong, code=1).stderr
    for words in ([], [""], ["--user", ""], ["--client", ""], [grant, "--user", "u1"], [grant, "--all"]):
        migrated("grants", "revoke", *words, code=2)
    migrated("grants", "list", "--user", "", code=2)
    migrated("grants", "revoke", "--client", client[:-1], "--yes")
    assert [g["grant_id"] for g in migrated.json("grants", "list")] == [grant]
