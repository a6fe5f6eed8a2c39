"""`grantwell clients`."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from typing import Any

import httpx
import pytest

from grantwell import OAuthProvider, SecretKey
from grantwell_storage import SQLStore
from tests.assertions.signing import jwks, new_key
from tests.cli.terminal import REDIRECT, Terminal

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
API = "https://api.example.com/api"
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
        ["--public"],
        ["--grant-type", "client_credentials", "--redirect-uri", REDIRECT],
        ["--grant-type", "client_credentials", "--grant-type", "authorization_code"],
        ["--redirect-uri", REDIRECT, "--resource-server", API, "--grant-type", "client_credentials"],
        ["--redirect-uri", REDIRECT, "--jwks", "no-such-file"],
        ["--redirect-uri", REDIRECT, "--public", "--jwks-uri", "https://c1.test/jwks"],
        ["--redirect-uri", REDIRECT, "--auth-method", "client_secret_post", "--jwks-uri", "https://c1.test/jwks"],
        ["--redirect-uri", REDIRECT, "--jwks-uri", "https://c1.test/jwks", "--jwks", "-"],
    ],
    ids=" ".join,
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
    assert migrated.json("clients", "delete", client_id, "--yes") == {"client_id": client_id, "deleted": True}
    assert migrated.json("grants", "list") == []
    assert migrated.json("clients", "list") == []
    migrated("clients", "delete", client_id, code=1)
    migrated.client()
    (other,) = migrated.json("clients", "list")
    assert "deleted" in migrated("clients", "delete", other["client_id"], "--yes").stdout


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


# Clients that send nobody to a browser ------------------------------------------------------------------------------


def answers(terminal: Terminal, client: dict[str, Any], *forms: dict[str, str]) -> list[httpx.Response]:
    """What a server on this database answers to requests of a client at its token endpoint."""

    async def ask(provider: OAuthProvider) -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=provider)
        auth = (client["client_id"], client["client_secret"])
        async with httpx.AsyncClient(transport=transport, base_url="https://api.example.com", auth=auth) as http:
            return [await http.post("/token", data=form) for form in forms]

    return terminal.with_provider(ask)


@pytest.mark.requirement("G-332", "S-265", "S-264")
def test_a_client_that_acts_for_itself_needs_no_redirect_uri(migrated: Terminal) -> None:
    client = migrated.json("clients", "create", "--grant-type", "client_credentials", "--scope", "read")
    assert client["grant_types"] == ["client_credentials"]
    assert "redirect_uris" not in client
    grant = {"grant_type": "client_credentials"}
    allowed, refused = answers(migrated, client, grant, grant | {"scope": "write"})
    assert (allowed.status_code, allowed.json()["scope"]) == (200, "read")
    assert refused.json()["error"] == "invalid_scope"
    assert "client_credentials" in migrated("clients", "show", client["client_id"]).stdout


@pytest.mark.requirement("G-332", "S-218")
@pytest.mark.parametrize(
    ("name", "grant_type"),
    [
        ("token-exchange", TOKEN_EXCHANGE),
        (TOKEN_EXCHANGE, TOKEN_EXCHANGE),
        ("jwt-bearer", JWT_BEARER),
        (JWT_BEARER, JWT_BEARER),
    ],
)
def test_grant_types_with_long_names_have_short_ones(migrated: Terminal, name: str, grant_type: str) -> None:
    client = migrated.json("clients", "create", "--grant-type", name)
    assert client["grant_types"] == [grant_type]
    # This server has neither; that is for it to say.
    (answer,) = answers(migrated, client, {"grant_type": grant_type})
    assert answer.json()["error"] == "unsupported_grant_type"
    assert "can keep a credential" in migrated("clients", "create", "--grant-type", name, "--public", code=1).stderr


@pytest.mark.requirement("G-332", "S-219", "S-398")
def test_a_client_with_keys_authenticates_with_them(migrated: Terminal) -> None:
    public = jwks(new_key(), new_key("EdDSA", "k2"))
    (migrated.folder / "keys.json").write_text(json.dumps(public), encoding="utf-8")
    client = migrated.json("clients", "create", "--redirect-uri", REDIRECT, "--jwks", "keys.json")
    assert client["token_endpoint_auth_method"] == "private_key_jwt"
    assert client["jwks"] == public
    assert "client_secret" not in client
    shown = migrated("clients", "show", client["client_id"]).stdout
    assert "kty=EC crv=P-256 alg=ES256 use=sig kid=k1\n" in shown
    assert "kty=OKP crv=Ed25519 alg=EdDSA use=sig kid=k2\n" in shown
    assert migrated.json("clients", "show", client["client_id"])["jwks"] == public
    words = ["clients", "create", "--auth-method", "private_key_jwt", "--grant-type", "client_credentials", "--jwks"]
    assert "kid=k1" in migrated(*words, "-", stdin=json.dumps(public)).stdout


@pytest.mark.requirement("G-332", "S-398")
def test_keys_may_be_fetched_from_the_client(migrated: Terminal) -> None:
    where = "https://c1.test/jwks"
    client = migrated.json("clients", "create", "--redirect-uri", REDIRECT, "--jwks-uri", where)
    assert (client["token_endpoint_auth_method"], client["jwks_uri"]) == ("private_key_jwt", where)
    assert where in migrated("clients", "show", client["client_id"]).stdout
    plain_http = ["--redirect-uri", REDIRECT, "--jwks-uri", "http://c1.test/jwks"]
    assert "jwks_uri" in migrated("clients", "create", *plain_http, code=1).stderr


PRIVATE = new_key().as_dict(private=True)


@pytest.mark.requirement("G-332", "G-311", "S-398", "A-100")
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("-----BEGIN PUBLIC KEY-----", "not JSON"),
        ("[]", "not a JSON object"),
        ("\udcff", "not UTF-8"),
        (" " * 70_000, "too large"),
        (json.dumps(PRIVATE), "JWK Set"),
        (json.dumps({"keys": [PRIVATE]}), "public keys only"),
        (json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}), "public keys only"),
        (json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}), "jwks is not acceptable"),
    ],
    ids=["PEM", "array", "bytes", "large", "one key", "private", "symmetric", "no point"],
)
def test_a_file_that_is_no_set_of_public_keys_is_refused_with_a_sentence(
    migrated: Terminal, content: str, sentence: str
) -> None:
    (migrated.folder / "keys.json").write_bytes(content.encode(errors="surrogateescape"))
    result = migrated("clients", "create", "--redirect-uri", REDIRECT, "--jwks", "keys.json", code=1)
    assert sentence in result.stderr
    assert str(PRIVATE["d"]) not in result.output
    assert migrated.json("clients", "list") == []


@pytest.mark.requirement("G-332", "S-467")
def test_a_resource_server_may_introspect_and_nothing_else(migrated: Terminal) -> None:
    words = ["clients", "create", "--resource-server", API, "--resource-server", "https://other.example.com"]
    client = migrated.json(*words)
    assert client["introspects"] == [API, "https://other.example.com"]
    assert "redirect_uris" not in client
    assert client["grant_types"] == []
    (answer,) = answers(migrated, client, {"grant_type": "client_credentials"})
    assert answer.json()["error"] == "unauthorized_client"
    shown = migrated("clients", "show", client["client_id"]).stdout
    assert API in shown
    assert "https://other.example.com" in shown

    async def look_up(provider: OAuthProvider) -> tuple[str, ...]:
        found = await provider.helpers.lookup_client(client["client_id"])
        assert found is not None
        return found.introspects

    assert migrated.with_provider(look_up) == (API, "https://other.example.com")
    both = migrated.json("clients", "create", "--resource-server", API, "--redirect-uri", REDIRECT)
    assert both["grant_types"] == ["authorization_code", "refresh_token"]
    for wrong in (["--resource-server", "not a URL"], ["--resource-server", API, "--public"]):
        assert "invalid_client_metadata" in migrated("clients", "create", *wrong, code=1).stderr


# Secrets ------------------------------------------------------------------------------------------------------------


def accepted(terminal: Terminal, client: dict[str, Any], *secrets: str) -> list[bool]:
    """Whether a server on this database knows a client by these secrets."""
    grant = {"grant_type": "client_credentials"}
    return [answers(terminal, client | {"client_secret": s}, grant)[0].status_code == 200 for s in secrets]


@pytest.mark.requirement("G-333", "S-470", "A-345")
def test_a_new_secret_works_beside_the_one_before(migrated: Terminal) -> None:
    client = migrated.json("clients", "create", "--grant-type", "client_credentials")
    before = int(time.time())
    second = migrated.json("clients", "rotate-secret", client["client_id"])
    assert sorted(second) == ["client_id", "client_secret", "client_secret_expires_at", "former_secret_expires_at"]
    assert second["client_secret_expires_at"] == 0
    assert before + 86_400 <= second["former_secret_expires_at"] <= int(time.time()) + 86_400
    assert accepted(migrated, client, client["client_secret"], second["client_secret"]) == [True, True]
    third = migrated.json("clients", "rotate-secret", client["client_id"], "--overlap", "0")
    secrets = [client["client_secret"], second["client_secret"], third["client_secret"]]
    assert accepted(migrated, client, *secrets) == [False, False, True]
    for words in (["clients", "list"], ["clients", "show", client["client_id"]]):
        for extra in ([], ["--json"]):
            assert not [secret for secret in secrets if secret in migrated(*words, *extra).output]
    stored = b"".join(path.read_bytes() for path in migrated.folder.iterdir())
    assert not [secret for secret in secrets if secret.encode() in stored]


@pytest.mark.requirement("G-333")
def test_people_are_told_how_long_the_secret_before_works(migrated: Terminal) -> None:
    client_id = migrated.json("clients", "create", "--redirect-uri", REDIRECT)["client_id"]
    result = migrated("clients", "rotate-secret", client_id, "--overlap", "90s")
    assert "client_secret  gws_" in result.stdout
    assert "Keep the secret now" in result.stderr
    assert "The secret before works until 2" in result.stderr
    assert "works no more" in migrated("clients", "rotate-secret", client_id, "--overlap", "0d").stderr


@pytest.mark.requirement("G-333", "G-311", "A-348")
def test_a_secret_that_cannot_be_rotated_is_one_sentence(migrated: Terminal) -> None:
    public = migrated.client()["client_id"]
    assert "no secret" in migrated("clients", "rotate-secret", public, code=1).stderr
    for wrong in (public[:8], public + "0", "*", " "):
        assert "no client with this id" in migrated("clients", "rotate-secret", wrong, code=1).stderr
    assert "must not be empty" in migrated("clients", "rotate-secret", "", code=2).stderr
    (migrated.folder / "wrong").write_text("0" * 64)
    (migrated.folder / "wrong").chmod(0o600)
    other_key = migrated("clients", "rotate-secret", public, "--secret-key-file", "wrong", code=1)
    assert "key of another database" in other_key.stderr


@pytest.mark.requirement("G-333", "G-334", "G-311")
@pytest.mark.parametrize("duration", ["", "x", "1w", "1.5h", "-1", "1 h", "1H", "٣", "99999999999", "40000d", "1h1m"])
def test_a_duration_that_is_none_is_wrong_usage(migrated: Terminal, duration: str) -> None:
    client_id = migrated.json("clients", "create", "--redirect-uri", REDIRECT)["client_id"]
    for words in (["rotate-secret", client_id, f"--overlap={duration}"], ["initial-access-token", f"--ttl={duration}"]):
        result = migrated("clients", *words, code=2)
        assert "Invalid value for" in result.stderr
        assert result.stdout == ""
    migrated("clients", "initial-access-token", "--ttl", "0", code=2)


# Initial access tokens ----------------------------------------------------------------------------------------------


def registered(token: str, *, times: int = 1) -> list[int]:
    """What a server on this database that guards its registration answers to somebody with this token."""

    async def register() -> list[int]:
        provider = OAuthProvider(
            issuer="https://api.example.com",
            store=SQLStore("sqlite+aiosqlite:///grantwell.db"),
            secret_key=SecretKey.file("grantwell.key"),
            api_handlers={},
            require_initial_access_token=True,
        )
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app=provider), base_url="https://api.example.com")
        headers, metadata = {"Authorization": f"Bearer {token}"}, {"redirect_uris": [REDIRECT]}
        async with provider.running(), http:
            answers = [await http.post("/register", json=metadata, headers=headers) for _ in range(times)]
        return [answer.status_code for answer in answers]

    return asyncio.run(register())


@pytest.mark.requirement("G-334", "A-107", "A-345")
def test_an_initial_access_token_is_shown_once_and_registers_one_client(migrated: Terminal) -> None:
    result = migrated("clients", "initial-access-token")
    token = result.stdout.strip()
    assert "Keep the token now" in result.stderr
    assert token not in result.stderr
    assert all(token.encode() not in path.read_bytes() for path in migrated.folder.iterdir())
    assert registered(token, times=2) == [201, 401]
    (client,) = migrated.json("clients", "list")
    assert client["origin"] == "registration"


@pytest.mark.requirement("G-334")
@pytest.mark.parametrize(("ttl", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800)])
def test_an_initial_access_token_is_good_for_as_long_as_it_says(migrated: Terminal, ttl: str, seconds: int) -> None:
    before = int(time.time())
    document = migrated.json("clients", "initial-access-token", "--ttl", ttl)
    assert sorted(document) == ["expires_at", "initial_access_token"]
    assert before + seconds <= document["expires_at"] <= int(time.time()) + seconds
    with closing(sqlite3.connect("grantwell.db")) as database:
        ((expires_at,),) = database.execute("SELECT expires_at FROM oauth_initial_access_tokens").fetchall()
    assert document["expires_at"] <= expires_at <= int(time.time()) + seconds
    assert registered(document["initial_access_token"]) == [201]


@pytest.mark.requirement("G-311", "G-313")
@pytest.mark.parametrize("words", [["rotate-secret", "x"], ["initial-access-token"]], ids=" ".join)
def test_new_credentials_need_a_schema_and_the_key(terminal: Terminal, words: list[str]) -> None:
    assert "Run: grantwell migrate" in terminal("clients", *words, code=1).stderr
    assert list(terminal.folder.iterdir()) == []
    terminal("migrate")
    terminal.client()
    (terminal.folder / "grantwell.key").unlink()
    assert "grantwell.key is missing" in terminal("clients", *words, code=1).stderr
