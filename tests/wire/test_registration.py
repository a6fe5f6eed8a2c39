"""Dynamic client registration (RFC 7591): what a stranger may become, and who may say no."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx
import pytest

from grantwell import Client, ClientMetadataError, ClientRegistration, OAuthError, StoreUnavailable
from grantwell.store import Registration
from grantwell_storage import MemoryStore
from tests.wire.world import REDIRECT, World, nothing_changes, parsed, running_world

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running_world(MemoryStore()) as running:
        yield running


def assert_refused(answer: httpx.Response, code: str = "invalid_client_metadata", status: int = 400) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["error"] == code
    assert set(body) == {"error", "error_description"}
    assert not set('"\\') & set(body["error_description"])


@requirement("S-390", "S-391", "S-396", "S-406", "S-007", "S-014", "A-096", "C-053", "C-054", "C-048")
async def test_a_minimal_registration_gets_the_defaults_and_one_secret(world: World) -> None:
    answer = await world.http.post("/register", json={"redirect_uris": [REDIRECT]})
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    body = answer.json()
    assert body.pop("client_secret").startswith("gws_")
    assert len(body.pop("client_id")) == 32
    assert body == {
        "client_id_issued_at": int(world.clock()),
        "client_secret_expires_at": 0,
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
    }


@requirement("A-096", "S-404", "S-455", "S-218", "C-054")
async def test_a_public_client_gets_no_secret(world: World) -> None:
    body = await world.register()
    assert "client_secret" not in body
    assert "client_secret_expires_at" not in body
    stored = await world.provider.helpers.lookup_client(body["client_id"])
    assert stored is not None
    assert stored.is_public


@requirement("S-402", "S-403", "A-093", "A-110", "A-112", "S-392", "S-400", "C-055", "C-056", "S-468")
async def test_what_a_client_says_about_itself_changes_nothing_that_is_not_its_own(world: World) -> None:
    hostile: dict[str, Any] = {
        "client_id": "https://evil.test/client.json",
        "client_secret": "mine",
        "client_id_issued_at": 1,
        "client_secret_expires_at": 1,
        "trusted": True,
        "origin": "operator",
        "first_party": True,
        "is_admin": True,
        "version": 99,
        "mac": "AAAA",
        "secrets": [],
        "user_id": "u1",
        "created_at": 1,
        "__class__": "x",
        "software_statement": "eyJhbGciOiJub25lIn0.eyJ0cnVzdGVkIjp0cnVlfQ.",
        "registration_client_uri": "https://evil.test",
    }
    plain = await world.register(client_name="A")
    first = await world.register(client_name="A", **hostile)
    second = await world.register(client_name="A", **hostile)
    assert len({plain["client_id"], first["client_id"], second["client_id"]}) == 3
    assert all(body["client_id"].isalnum() for body in (first, second))
    first.pop("client_id"), plain.pop("client_id")
    assert first == plain
    stored = await world.provider.helpers.lookup_client(second["client_id"])
    assert stored is not None
    assert (stored.origin, stored.version, stored.metadata) == ("registration", 1, {})


@requirement("A-111", "S-391", "S-409", "S-401", "C-053", "C-057", "A-113")
async def test_the_answer_is_what_is_stored(world: World) -> None:
    body = await world.register(
        client_uri="https://c1.test/",
        contacts=["a@c1.test"],
        scope="read admin",
        application_type="native",
        software_id="x",
        **{"client_name#ja-Jpan-JP": "クライアント", "redirect_uris#fr": ["https://evil.test"], "client_name#": "x"},
    )
    assert body["client_name#ja-Jpan-JP"] == "クライアント"
    assert body["scope"] == "read"
    assert "redirect_uris#fr" not in body
    assert "client_name#" not in body
    stored = await world.provider.helpers.lookup_client(body["client_id"])
    assert stored is not None
    assert {name: body[name] for name in stored.metadata} == stored.metadata
    assert [list(stored.redirect_uris), stored.name, list(stored.grant_types), list(stored.scopes or ())] == [
        body["redirect_uris"],
        body["client_name"],
        body["grant_types"],
        ["read"],
    ]


@requirement(
    "S-394",
    "S-393",
    "S-399",
    "A-014",
    "A-016",
    "A-018",
    "A-026",
    "A-027",
    "A-028",
    "S-449",
    "S-450",
    "S-452",
    "D-19",
    "C-045",
    "C-062",
    "C-086",
)
@pytest.mark.parametrize(
    "uris",
    [
        None,
        [],
        REDIRECT,
        [None],
        [1],
        [[REDIRECT]],
        {"0": REDIRECT},
        [REDIRECT] * 0 + [f"https://c1.test/{i}" for i in range(21)],
        ["http://c1.test/cb"],
        ["https://c1.test/cb#x"],
        ["/cb"],
        ["javascript:alert(1)"],
        ["\x01javascript:alert(1)"],
        ["data:text/html,x"],
        ["myapp:/cb"],
        ["*"],
        ["https://*.c1.test/cb"],
        ["https://c1.test/cb?code=x"],
        [REDIRECT, "http://127.0.0.1.evil.test/cb"],
        ["https://c1.test/" + "x" * 2048],
    ],
    ids=lambda value: str(value)[:40],
)
async def test_redirect_uris_that_are_not_safe_are_refused(world: World, uris: Any) -> None:
    with nothing_changes(world):
        answer = await world.http.post("/register", json={"redirect_uris": uris} if uris is not None else {})
        assert_refused(answer, "invalid_redirect_uri")


@requirement(
    "S-399", "S-397", "S-398", "S-411", "A-095", "A-097", "A-098", "A-100", "A-101", "S-015", "S-024", "S-468", "C-046"
)
@pytest.mark.parametrize(
    "member",
    [
        {"grant_types": ["client_credentials"]},
        {"grant_types": ["password", "implicit"]},
        {"grant_types": "authorization_code"},
        {"response_types": ["token"]},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": None},
        {"token_endpoint_auth_method": 7},
        {"client_uri": "javascript:alert(1)"},
        {"logo_uri": "http://169.254.169.254/"},
        {"tos_uri#ja": "data:text/html,x"},
        {"jwks": {"keys": [{"kty": "oct", "k": "x"}]}},
        {"jwks": {"keys": []}, "jwks_uri": "https://c1.test/jwks"},
        {"client_name": "a\u202eb"},
        {"client_name": "x" * 101},
        {"client_name": None},
        {"scope": "a  b"},
        {"scope": 'a"b\\'},
        {"scope": ["read"]},
        {"contacts": "a"},
    ],
    ids=str,
)
async def test_metadata_that_cannot_be_registered_is_refused(world: World, member: dict[str, Any]) -> None:
    with nothing_changes(world):
        assert_refused(await world.http.post("/register", json={"redirect_uris": [REDIRECT]} | member))


@requirement("S-388", "A-102", "A-103", "S-022", "C-044")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"[" * 60_000,
        b'{"redirect_uris":["https://c1.test/cb"],"redirect_uris":["https://evil.test/cb"]}',
        b'{"redirect_uris":["https://c1.test/cb"]} x',
        b'{"a": NaN, "redirect_uris":["https://c1.test/cb"]}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"redirect_uris":["https://c1.test/cb"],"client_name":"\\ud800"}',
        b'{"redirect_uris":["https://c1.test/cb"],"client_name":"a\\u0000b"}',
        b'\xef\xbb\xbf{"redirect_uris":["https://c1.test/cb"]}',
        '{"redirect_uris":["https://c1.test/cb"]}'.encode("utf-16"),
        b'{"client_name":"\xff"}',
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_a_body_that_is_not_plain_json_is_refused(world: World, body: bytes) -> None:
    with nothing_changes(world):
        answer = await world.http.post("/register", content=body, headers={"Content-Type": "application/json"})
        assert_refused(answer)


@requirement("A-104", "S-388")
@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"],
)
async def test_registration_reads_application_json_alone(world: World, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    body = json.dumps({"redirect_uris": [REDIRECT]}).encode()
    with nothing_changes(world):
        assert_refused(await world.http.post("/register", content=body, headers=headers))


@requirement("A-105", "S-023", "C-043")
async def test_a_registration_over_64_kib_is_refused(world: World) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 8192

    headers = {"Content-Type": "application/json"}
    with nothing_changes(world):
        assert_refused(
            await world.http.post("/register", content=b" " * 65_537, headers=headers), "invalid_request", 413
        )
        assert_refused(await world.http.post("/register", content=endless(), headers=headers), "invalid_request", 413)
    body = json.dumps({"redirect_uris": [REDIRECT]}).encode()
    padded = await world.http.post("/register", content=body.ljust(65_536), headers=headers)
    assert padded.status_code == 201


@requirement("A-109", "A-289", "S-016", "C-042", "A-292")
async def test_there_is_no_management_endpoint_and_no_other_method() -> None:
    async with running_world(MemoryStore(), default=None) as world:
        client = await world.register()
        assert not [name for name in client if name.startswith("registration_")]
        for method in ("GET", "PUT", "DELETE", "POST"):
            for path in (f"/register/{client['client_id']}", "/register/"):
                answer = await world.http.request(method, path, headers={"Authorization": "Bearer x"})
                assert answer.status_code == 404
                assert "location" not in answer.headers
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
            answer = await world.http.request(method, "/register")
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


@requirement("S-045", "A-280", "C-014")
async def test_without_an_endpoint_nobody_registers() -> None:
    async with running_world(MemoryStore(), client_registration_endpoint=None) as world:
        answer = await world.http.post("/register", json={"redirect_uris": [REDIRECT]})
        assert answer.text == "the site"
        document = (await world.http.get("/.well-known/oauth-authorization-server")).json()
        assert "registration_endpoint" not in document
        assert (await world.provider.helpers.list_clients()).items == ()


async def allow(event: ClientRegistration) -> None:
    assert event.metadata == {"redirect_uris": [REDIRECT], "unknown": {"kept": True}}
    assert event.headers["x-initial"] == "token"
    assert event.address == "198.51.100.9"
    assert isinstance(event.client, Client)
    assert event.client.redirect_uris == (REDIRECT,)


@requirement("C-063", "C-064", "C-066", "A-108", "S-467")
@pytest.mark.parametrize("kind", ["async", "sync", "object"])
async def test_a_registration_callback_sees_the_request_and_may_allow_it(kind: str) -> None:
    threads: list[threading.Thread] = []

    def sync_allow(event: ClientRegistration) -> None:
        threads.append(threading.current_thread())
        assert event.metadata["unknown"] == {"kept": True}

    class Policy:
        async def __call__(self, event: ClientRegistration) -> None:
            await allow(event)

    callback: Any = {"async": allow, "sync": sync_allow, "object": Policy()}[kind]
    async with running_world(
        MemoryStore(), client_registration_callback=callback, trusted_proxies=["127.0.0.1"]
    ) as world:
        answer = await world.http.post(
            "/register",
            json={"redirect_uris": [REDIRECT], "unknown": {"kept": True}},
            headers={"X-Initial": "token", "X-Forwarded-For": "6.6.6.6, 198.51.100.9"},
        )
        assert answer.status_code == 201, answer.text
        assert threading.main_thread() not in threads


@requirement("A-199", "C-227")
async def test_a_registration_callback_is_shown_no_credential() -> None:
    seen: list[Client] = []

    async def note(event: ClientRegistration) -> None:
        seen.append(event.client)

    async with running_world(MemoryStore(), client_registration_callback=note) as world:
        await world.register(token_endpoint_auth_method="client_secret_basic")
    assert [(client.secrets, client.mac) for client in seen] == [((), b"")]


@requirement("S-019", "A-106", "A-278")
async def test_a_forwarded_address_is_believed_from_trusted_proxies_alone() -> None:
    seen: list[str | None] = []

    async def note(event: ClientRegistration) -> None:
        seen.append(event.address)

    for proxies in ([], ["10.0.0.0/8"], ["127.0.0.0/8"], ["127.0.0.0/8", "6.6.6.0/24"]):
        async with running_world(MemoryStore(), client_registration_callback=note, trusted_proxies=proxies) as world:
            for forwarded in ("6.6.6.6", "garbage", "", "7.7.7.7,6.6.6.6"):
                await world.http.post(
                    "/register", json={"redirect_uris": [REDIRECT]}, headers={"X-Forwarded-For": forwarded}
                )
    here = "127.0.0.1"
    assert seen == [here] * 8 + ["6.6.6.6", here, here, "6.6.6.6", "6.6.6.6", here, here, "7.7.7.7"]


@requirement("C-064", "C-065", "A-108", "S-024")
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OAuthError("access_denied", "Not you."), 403, "access_denied"),
        (OAuthError("invalid_token", status=401, headers={"WWW-Authenticate": "Bearer"}), 401, "invalid_token"),
        (ClientMetadataError("Not that name."), 400, "invalid_client_metadata"),
        (RuntimeError("password=hunter2"), 500, "server_error"),
        (StoreUnavailable("away"), 503, "temporarily_unavailable"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_registration_callback_may_refuse_and_its_failures_say_nothing(
    kind: str, error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(event: ClientRegistration) -> None:
        raise error

    def refuse_in_a_thread(event: ClientRegistration) -> None:
        raise error

    callback = refuse if kind == "async" else refuse_in_a_thread
    async with running_world(MemoryStore(), client_registration_callback=callback) as world:
        with nothing_changes(world), caplog.at_level(logging.INFO):
            answer = await world.http.post("/register", json={"redirect_uris": [REDIRECT]})
        assert_refused(answer, code, status)
        assert "hunter2" not in answer.text
        assert ("retry-after" in answer.headers) == (status == 503)
        assert ("www-authenticate" in answer.headers) == (status == 401)
        assert "refused at" in caplog.text


@requirement("A-108", "F-077")
async def test_a_registration_callback_that_hangs_is_a_503_and_registers_nobody() -> None:

    async def hang(event: ClientRegistration) -> None:
        await asyncio.get_running_loop().create_future()

    async with running_world(MemoryStore(), client_registration_callback=hang, callback_timeout=0.05) as world:
        with nothing_changes(world):
            answer = await world.http.post("/register", json={"redirect_uris": [REDIRECT]})
        assert_refused(answer, "temporarily_unavailable", 503)
        assert answer.headers["retry-after"] == "2"


@requirement("A-114", "S-246")
async def test_a_store_in_trouble_is_a_503_and_no_secret_is_given_out() -> None:
    class Full(MemoryStore):
        async def register_client(self, registration: Registration) -> Literal["registered", "too_many", "spent"]:
            raise StoreUnavailable("the disk is full")

    async with running_world(Full()) as world:
        answer = await world.http.post("/register", json={"redirect_uris": [REDIRECT]})
        assert_refused(answer, "temporarily_unavailable", 503)
        assert answer.headers["retry-after"]
        assert "gws_" not in answer.text
        assert "disk" not in answer.text


@requirement("S-410", "S-389", "S-405", "S-454", "C-049", "C-051")
async def test_what_mcp_clients_register_works_to_the_end(world: World) -> None:
    body = await world.register(
        redirect_uris=["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
        grant_types=["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
        response_types=["code"],
        application_type="native",
        scope="read offline_access",
    )
    assert body["grant_types"] == ["authorization_code", "refresh_token"]
    tokens = await world.tokens(body, redirect_uri="http://127.0.0.1:33418/", scope="read offline_access")
    assert tokens.refresh
    assert (await world.call(parsed(await world.refresh(body, tokens.refresh)).access)).status_code == 200
