"""The token endpoint: how a request is read, which grants there are, and the shape of every answer."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from grantwell._http import requests
from tests.wire.world import R1, R2, World, nothing_changes, parsed, refused, running_world

requirement = pytest.mark.requirement

FORM = {"content-type": "application/x-www-form-urlencoded"}


class Sender:
    """A client with a code and a refresh token, and its requests as they are written on the wire."""

    def __init__(self, world: World, client: dict[str, Any], code: str, token: str) -> None:
        self.world, self.client, self.code, self.token = world, client, code, token

    def form(self, grant_type: str = "authorization_code", /, **changes: Any) -> dict[str, Any]:
        """The parameters of a valid request, changed as written (None removes one)."""
        form = {"grant_type": grant_type, "client_id": self.client["client_id"]}
        if grant_type == "authorization_code":
            form |= {"code": self.code, "code_verifier": self.world.pkce.verifier}
        else:
            form |= {"refresh_token": self.token}
        return {name: value for name, value in (form | changes).items() if value is not None}

    async def __call__(self, body: str | bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        """POST a body as it is."""
        return await self.world.http.post("/token", content=body, headers=FORM if headers is None else headers)

    async def works(self) -> None:
        """Check that code and refresh token are as good as they were."""
        parsed(await self(urlencode(self.form())))
        parsed(await self(urlencode(self.form("refresh_token"))))


@pytest.fixture
async def send(world: World) -> Sender:
    """A client that is ready to ask."""
    client = await world.register()
    token = (await world.tokens(client)).refresh
    return Sender(world, client, await world.code(client, headers={"x-user": "u2"}), token)


@requirement("S-196", "S-016", "A-145", "C-110")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_the_token_endpoint_accepts_post_alone(send: Sender, method: str) -> None:
    with nothing_changes(send.world):
        for headers in ({}, {"x-http-method-override": "POST"}):
            answer = await send.world.http.request(method, "/token", params=send.form(), headers=headers)
            assert answer.status_code == 405
            assert "POST" in answer.headers["allow"]
            assert "access_token" not in answer.text
    await send.works()


@requirement("A-146", "S-017", "S-018")
async def test_parameters_in_the_query_are_as_good_as_absent(send: Sender) -> None:
    form = send.form()
    with nothing_changes(send.world):
        for name in form:
            body = urlencode({key: value for key, value in form.items() if key != name})
            answer = await send.world.http.post("/token", params={name: form[name]}, content=body, headers=FORM)
            refused(answer, *(("invalid_client", 401) if name == "client_id" else ("invalid_request", 400)))
        refused(await send.world.http.post("/token", params=form, content=b"", headers=FORM), "invalid_client", 401)
    await send.works()


@requirement("A-147", "S-017", "C-111")
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/json, application/x-www-form-urlencoded",
        "application/x-www-form-urlencodedX",
        "application/x-www-form-urlencoded; charset=utf-16",
    ],
)
async def test_a_body_of_another_type_is_not_read(send: Sender, content_type: str | None) -> None:
    with nothing_changes(send.world):
        headers = {} if content_type is None else {"content-type": content_type}
        refused(await send(urlencode(send.form()), headers), "invalid_request")
    await send.works()


@requirement("A-147", "C-111", "S-013")
@pytest.mark.parametrize("content_type", ["APPLICATION/X-WWW-FORM-URLENCODED", FORM["content-type"] + ";charset=UTF-8"])
async def test_a_form_in_utf_8_is_read_however_its_type_is_written(send: Sender, content_type: str) -> None:
    parsed(await send(urlencode(send.form()), {"content-type": content_type}))


@requirement("S-013", "S-010", "A-149", "S-009", "S-012")
@pytest.mark.parametrize(
    "changes",
    [
        {"scope": ""},
        {"resource": ""},
        {"redirect_uri": ""},
        {"unknown": "x", "state": "y", "Scope": "admin", "RESOURCE": "x"},
        {"client_secret": ""},
        {"scope": "read write"},
    ],
    ids=str,
)
async def test_what_is_empty_or_unknown_counts_as_absent(send: Sender, changes: dict[str, str]) -> None:
    for grant_type in ("authorization_code", "refresh_token"):
        raw = parsed(await send(urlencode(send.form(grant_type, **changes)))).raw
        assert (raw["scope"], raw["resource"]) == ("read write", R1)


@requirement("S-012", "A-151", "S-231")
@pytest.mark.parametrize("name", ["Code", "CODE", "code[]", "code[0]", "code.a", " code", "code ", "сode"])
async def test_a_parameter_has_one_spelling(send: Sender, name: str) -> None:
    with nothing_changes(send.world):
        refused(await send(urlencode(send.form(code=None) | {name: send.code})), "invalid_request")
    await send.works()


@requirement("S-011", "C-112", "A-085")
@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token"])
async def test_a_repeated_parameter_is_refused(send: Sender, grant_type: str) -> None:
    form = urlencode(send.form(grant_type, scope="read", redirect_uri="https://c1.test/cb"))
    with nothing_changes(send.world):
        for field in form.split("&"):
            for again in (field, field.partition("=")[0] + "="):
                refused(await send(f"{form}&{again}"), "invalid_request")
                refused(await send(f"{again}&{form}"), "invalid_request")
        refused(await send(f"{form}&x=1&x=2"), "invalid_request")
    await send.works()


@requirement("S-011", "S-325")
async def test_resource_may_be_repeated(send: Sender) -> None:
    code = await send.world.code(send.client, headers={"x-user": "u4"}, resource=[R1, R2])
    body = urlencode(send.form(code=code, resource=[R1, R2, R1]), doseq=True)
    assert parsed(await send(body)).raw["resource"] == [R1, R2]


@requirement("A-150", "S-022")
async def test_a_semicolon_separates_nothing(send: Sender) -> None:
    form = send.form("refresh_token")
    with nothing_changes(send.world):
        refused(await send(urlencode(form).replace("&", ";")), "invalid_client", 401)
        joined = f"grant_type=refresh_token;refresh_token={form['refresh_token']}&client_id={form['client_id']}"
        refused(await send(joined), "unsupported_grant_type")
    other = (await send.world.register())["client_id"]
    refused(await send(urlencode(form) + f";client_id={other}"), "invalid_grant")
    await send.works()


@requirement("A-152", "A-153", "A-154", "S-022")
@pytest.mark.parametrize(
    "value",
    [
        b"%zz",
        b"a%",
        b"%u0041",
        b"%ff%fe",
        b"%c0%ae",
        b"\xff\xfe",
        b"a%00b",
        b"%0a",
        b"%7f",
        b"\xc3\xa9",
        b"a\nb",
        b"%ED%A0%80",
    ],
)
async def test_what_cannot_be_decoded_in_one_way_is_refused(send: Sender, value: bytes) -> None:
    form = urlencode(send.form()).encode()
    with nothing_changes(send.world):
        refused(await send(form + b"&extra=" + value), "invalid_request")
        refused(await send(form + b"&" + value + b"=x"), "invalid_request")
        refused(await send(form.replace(b"code=", b"code=" + value, 1)), "invalid_request")
    await send.works()


@requirement("S-197", "C-123")
async def test_a_missing_grant_type_is_a_malformed_request(send: Sender) -> None:
    with nothing_changes(send.world):
        for changes in ({"grant_type": None}, {"grant_type": ""}, {"grant_type": None, "token": send.token}):
            refused(await send(urlencode(send.form(**changes))), "invalid_request")


@requirement("S-198", "S-199", "A-155", "A-156", "A-351", "C-124", "S-468")
@pytest.mark.parametrize(
    "grant_type",
    [
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "Refresh_Token",
        " refresh_token",
        "refresh_tokеn",
        "ｒefresh_token",
        "refresh_token authorization_code",
        "x" * 10_000,
    ],
    ids=lambda text: text[:50],
)
@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
async def test_there_are_no_other_grants(world: World, grant_type: str, method: str) -> None:
    client = await world.register(token_endpoint_auth_method=method)
    tokens = await world.tokens(client)
    form = {
        "grant_type": grant_type,
        "username": "u1",
        "password": "secret",
        "refresh_token": tokens.refresh,
        "subject_token": tokens.access,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "assertion": "x",
        "device_code": "x",
    }
    with nothing_changes(world):
        refused(await world.post("/token", client, form), "unsupported_grant_type")


@requirement("A-157", "S-023")
async def test_a_request_has_few_parameters(send: Sender) -> None:
    form = urlencode(send.form())
    with nothing_changes(send.world):
        for number in (33, 1_001, 20_000):
            answer = await send(form + "".join(f"&x{count}=" for count in range(number)))
            assert answer.status_code in (400, 413)
            assert answer.json()["error"] == "invalid_request"
    parsed(await send(form + "".join(f"&x{number}=" for number in range(20))))


@requirement("A-158", "S-023")
async def test_a_request_is_small(send: Sender) -> None:
    async def endless() -> Any:
        for _ in range(10_000):
            yield b"x" * 10_000

    form = urlencode(send.form())
    with nothing_changes(send.world):
        refused(await send(form + "&x=" + "y" * 65_536), "invalid_request", 413)
        answer = await send.world.http.post("/token", content=endless(), headers=FORM)
        refused(answer, "invalid_request", 413)
    await send.works()


@requirement("A-160", "S-022")
@pytest.mark.parametrize(
    ("changes", "error", "status"),
    [
        ({"scope": "read " * 2_000}, "invalid_scope", 400),
        ({"scope": "x" * 9_000}, "invalid_scope", 400),
        ({"resource": R1 + "x" * 9_000}, "invalid_target", 400),
        ({"redirect_uri": "https://c1.test/" + "x" * 9_000}, "invalid_grant", 400),
        ({"code_verifier": "x" * 9_000}, "invalid_grant", 400),
        ({"code": "x" * 9_000}, "invalid_grant", 400),
        ({"client_id": "x" * 9_000}, "invalid_client", 401),
        ({"client_secret": "x" * 9_000}, "invalid_client", 401),
        ({"grant_type": "x" * 9_000}, "unsupported_grant_type", 400),
    ],
    ids=lambda part: next(iter(part)) if isinstance(part, dict) else None,
)
async def test_a_value_that_is_too_long_is_an_error_and_not_overlooked(
    send: Sender, changes: dict[str, str], error: str, status: int
) -> None:
    with nothing_changes(send.world):
        refused(await send(urlencode(send.form(**changes))), error, status)
    await send.works()


@requirement("A-163", "A-164", "A-161", "S-022")
@pytest.mark.parametrize(
    "text", ["' OR 1=1--", "%", "_", "\\", "$$", ":name", "{}", '"; DROP TABLE x', "${x}", "a:b:c:d", "::"]
)
async def test_text_that_means_something_elsewhere_means_nothing_here(send: Sender, text: str) -> None:
    with nothing_changes(send.world):
        for grant_type, names in (
            (
                "authorization_code",
                ("code", "code_verifier", "redirect_uri", "scope", "resource", "client_id", "grant_type"),
            ),
            ("refresh_token", ("refresh_token", "scope", "resource", "client_id")),
        ):
            for name in names:
                for value in (
                    text,
                    send.form(grant_type).get(name, "") + text,
                    " " + send.form(grant_type).get(name, text),
                ):
                    answer = await send(urlencode(send.form(grant_type, **{name: value})))
                    assert answer.status_code in (400, 401), (name, value)
                    refused(answer, answer.json()["error"], answer.status_code)
    await send.works()


@requirement("S-205", "S-015", "S-014", "S-024", "A-165", "S-007", "S-008", "C-110")
async def test_errors_use_registered_codes_and_repeat_nothing_of_the_request(send: Sender) -> None:
    canary = 'cAnAry"é'
    stranger = await send.world.register()
    seen = set()
    for grant_type in ("authorization_code", "refresh_token"):
        for changes in (
            {"code": canary, "refresh_token": canary},
            {"code": None, "refresh_token": None},
            {"code_verifier": canary, "scope": canary},
            {"resource": "https://" + quote(canary) + "/"},
            {"resource": canary},
            {"redirect_uri": canary, "scope": "cAnAry"},
            {"grant_type": canary},
            {"grant_type": None},
            {"client_id": canary},
            {"client_id": None},
            {"client_id": stranger["client_id"]},
            {"client_secret": canary},
            {"client_assertion": canary},
        ):
            answer = await send(urlencode(send.form(grant_type, **changes)))
            error = answer.json()
            seen.add(error["error"])
            refused(answer, error["error"], 401 if error["error"] == "invalid_client" else 400)
            assert "anary" not in answer.text.lower()
            assert "anary" not in str(answer.headers).lower()
            assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", error["error_description"])
    assert seen == {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "invalid_scope",
        "invalid_target",
        "unsupported_grant_type",
    }
    await send.works()


@requirement("A-166", "S-201", "S-202", "S-203", "S-207", "S-208", "S-007", "S-008", "S-014", "A-167")
@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token"])
async def test_an_answer_with_tokens_looks_the_same_for_everybody(send: Sender, grant_type: str) -> None:
    world = send.world
    headers = {"accept": "text/html", "origin": "null", "cookie": "__Host-grantwell=1; session=u1", **FORM}
    answer = await send(urlencode(send.form(grant_type)), headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert "set-cookie" not in answer.headers
    raw = answer.json()
    assert raw["token_type"] == "Bearer"
    assert type(raw["expires_in"]) is int
    assert 0 < raw["expires_in"] <= 3600
    assert raw["scope"] == "read write"
    assert None not in raw.values()
    access = raw["access_token"]
    world.clock.advance(raw["expires_in"] - 1)
    assert (await world.call(access)).status_code == 200
    world.clock.advance(1)
    assert (await world.call(access)).status_code == 401


@requirement("A-168", "S-023")
async def test_a_body_that_is_never_finished_is_given_up(send: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_DEADLINE_SECONDS", 0.05)

    async def unfinished() -> Any:
        yield urlencode(send.form()).encode()
        await asyncio.Event().wait()

    with nothing_changes(send.world):
        answer = await send.world.http.post("/token", content=unfinished(), headers=FORM)
        refused(answer, "invalid_request", 408)
    await send.works()


@requirement("S-200", "A-090", "S-204", "S-246")
async def test_a_client_that_is_not_registered_for_refreshing_is_told_so(world: World) -> None:
    client = await world.register(grant_types=["authorization_code"])
    other = await world.tokens(await world.register())
    with nothing_changes(world):
        for token in ("unknown", other.refresh, other.access):
            refused(await world.refresh(client, token), "unauthorized_client")


@requirement("S-246")
async def test_each_kind_of_error_tells_a_client_what_to_do_next(store: Any) -> None:
    async with running_world(store) as world:
        client, gone = await world.register(), await world.register()
        tokens, orphan = await world.tokens(client), await world.tokens(gone)
        await world.revoke(client, tokens.refresh)
        refused(await world.refresh(client, tokens.refresh), "invalid_grant")
        await world.provider.helpers.delete_client(gone["client_id"])
        refused(await world.refresh(gone, orphan.refresh), "invalid_client", 401)
