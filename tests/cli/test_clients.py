"""`grantwell clients`."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from grantwell import OAuthProvider
from tests.cli.terminal import REDIRECT, Terminal

EVIL = "A\x1b]0;title\x07\u202eb\u2028c\r\nd"


@pytest.mark.requirement("G-310")
def test_a_public_client_is_printed_as_rfc_7591_has_it(migrated: Terminal) -> None:
    document = migrated.client("--name", "My client", "--scope", "notes:read notes:write", "--scope", "mcp:use")
    client_id = document.pop("client_id")
    assert isinstance(document.pop("client_id_issued_at"), int)
    assert document == {
        "client_name": "My client",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": "notes:read notes:write mcp:use",
    }
    assert migrated.json("clients", "show", client_id)["scope"] == "notes:read notes:write mcp:use"


@pytest.mark.requirement("G-310", "S-230", "A-345")
def test_a_secret_is_shown_once_and_stored_nowhere(migrated: Terminal) -> None:
    document = migrated.json("clients", "create", "--redirect-uri", "https://a.example/cb")
    secret = document["client_secret"]
    assert document["token_endpoint_auth_method"] == "client_secret_basic"
    assert document["client_secret_expires_at"] == 0
    for words in (["clients", "list"], ["clients", "show", document["client_id"]]):
        for extra in ([], ["--json"]):
            output = migrated(*words, *extra).output
            assert secret not in output
            assert "secrets" not in output
            assert "mac" not in output
    assert all(secret.encode() not in path.read_bytes() for path in migrated.folder.iterdir())


def test_people_see_the_members_of_a_new_client_and_are_told_to_keep_its_secret(migrated: Terminal) -> None:
    result = migrated(
        "clients", "create", "--redirect-uri", "https://a.example/1", "--redirect-uri", "https://a.example/2",
        "--auth-method", "client_secret_post", "--grant-type", "authorization_code",
    )  # fmt: skip
    assert "client_secret" in result.stdout
    assert "https://a.example/2" in result.stdout
    assert "refresh_token" not in result.stdout
    assert "Keep the secret now" in result.stderr


@pytest.mark.requirement("G-311")
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--redirect-uri", REDIRECT, "--public", "--auth-method", "client_secret_post"],
        ["--redirect-uri", REDIRECT, "--auth-method", "private_key_jwt"],
        ["--redirect-uri", REDIRECT, "--grant-type", "password"],
        ["--redirect-uri", REDIRECT, "--scope", "a  b"],
        ["--redirect-uri", REDIRECT, "--scope", 'quo"te'],
        ["--redirect-uri", REDIRECT, "--no-such-option"],
    ],
)
def test_wrong_usage_ends_with_code_2_and_creates_nothing(migrated: Terminal, words: list[str]) -> None:
    assert "Error: " in migrated("clients", "create", *words, code=2).stderr
    assert migrated.json("clients", "list") == []


@pytest.mark.requirement("G-311", "S-449")
def test_metadata_that_no_server_would_register_is_refused_with_a_sentence(migrated: Terminal) -> None:
    result = migrated("clients", "create", "--public", "--redirect-uri", "http://example.com/cb", code=1)
    assert "invalid_redirect_uri" in result.stderr
    assert result.stdout == ""


def test_a_listing_goes_through_all_pages_and_stops_where_it_is_told(
    migrated: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grantwell.cli.output._PAGE_SIZE", 2)
    created = {migrated.client()["client_id"] for _ in range(5)}
    assert {client["client_id"] for client in migrated.json("clients", "list")} == created
    assert len(migrated.json("clients", "list", "--limit", "3")) == 3
    assert len(migrated("clients", "list").stdout.splitlines()) == 6
    migrated("clients", "list", "--limit", "0", code=2)


@pytest.mark.requirement("A-346", "A-343")
def test_names_cannot_play_tricks_on_a_terminal(migrated: Terminal) -> None:
    client_id = migrated.client("--name", "Nice")["client_id"]
    with closing(sqlite3.connect("grantwell.db")) as database, database:
        database.execute("UPDATE oauth_clients SET name = ?", (EVIL,))
    for words in (["clients", "list"], ["clients", "list", "--json"]):
        output = migrated(*words).stdout
        assert not set(EVIL) & set("\x1b\x07\u202e\u2028\r") & set(output)
    lines = migrated("clients", "list").stdout.splitlines()
    assert len(lines) == 2
    assert r"A\x1b]0;title\x07\u202eb\u2028c\r\nd" in lines[1]
    assert "was not written with the key" in migrated("clients", "show", client_id, code=1).stderr


@pytest.mark.requirement("A-348")
@pytest.mark.parametrize("command", ["show", "delete"])
def test_only_a_whole_id_names_a_client(migrated: Terminal, command: str) -> None:
    client_id = migrated.client()["client_id"]
    for wrong in (client_id[:8], client_id + "0", client_id.upper() + "X", "*", "%", " "):
        assert "no client with this id" in migrated("clients", command, wrong, code=1).stderr
    assert "must not be empty" in migrated("clients", command, "", code=2).stderr
    assert len(migrated.json("clients", "list")) == 1


def test_a_deleted_client_is_gone_with_its_grants(migrated: Terminal) -> None:
    client_id = migrated.client()["client_id"]
    migrated.grant(client_id)
    assert migrated.json("clients", "delete", client_id) == {"client_id": client_id, "deleted": True}
    assert migrated.json("grants", "list") == []
    assert migrated.json("clients", "list") == []
    migrated("clients", "delete", client_id, code=1)
    migrated.client()
    (other,) = migrated.json("clients", "list")
    assert "deleted" in migrated("clients", "delete", other["client_id"]).stdout


@pytest.mark.requirement("G-312")
def test_a_server_of_any_issuer_knows_the_clients_that_the_command_made(migrated: Terminal) -> None:
    client_id = migrated.client("--scope", "read")["client_id"]

    async def look_up(provider: OAuthProvider) -> object:
        return await provider.helpers.lookup_client(client_id)

    assert migrated.with_provider(look_up) is not None
    assert "client_id" in migrated("clients", "show", client_id).stdout


@pytest.mark.requirement("G-313")
def test_a_lost_key_is_never_replaced_behind_the_operators_back(migrated: Terminal) -> None:
    client_id = migrated.client()["client_id"]
    key = migrated.folder / "grantwell.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.rename(migrated.folder / "elsewhere")
    assert "grantwell.key is missing" in migrated("clients", "show", client_id, code=1).stderr
    assert not key.exists()
    migrated("clients", "show", client_id, "--secret-key-file", "elsewhere")
    migrated("clients", "show", client_id, GRANTWELL_SECRET_KEY_FILE="elsewhere")
    (migrated.folder / "wrong").write_text("0" * 64)
    (migrated.folder / "wrong").chmod(0o600)
    assert (
        "key of another database" in migrated("clients", "show", client_id, "--secret-key-file", "wrong", code=1).stderr
    )
    (migrated.folder / "elsewhere").chmod(0o644)
    assert "chmod 600" in migrated("clients", "show", client_id, "--secret-key-file", "elsewhere", code=1).stderr
    assert "is missing" in migrated("clients", "show", client_id, "--secret-key-file", "no/such", code=1).stderr


@pytest.mark.requirement("G-313")
def test_a_key_that_cannot_be_made_is_one_sentence(migrated: Terminal) -> None:
    words = ["clients", "create", "--public", "--redirect-uri", REDIRECT, "--secret-key-file"]
    assert "cannot be created" in migrated(*words, "no/such/folder", code=1).stderr
    migrated(*words, "", code=2)
    assert migrated.json("clients", "list") == []
