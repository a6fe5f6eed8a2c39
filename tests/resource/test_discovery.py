"""Finding the introspection endpoint (RFC 8414): in the metadata of exactly the issuer, as soon as there is one."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response

from grantwell.resource import authorization_server
from grantwell.resource.connections import NoAnswer
from grantwell.testing import FrozenClock
from tests.resource.host import Talk, hosted, http, until
from tests.resource.place import Issuer, place_of, running_issuer, running_place
from tests.resource.test_answers import assert_unavailable

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

FOUND: dict[str, Any] = {"introspection_endpoint": None}


@requirement("S-026", "S-123")
@pytest.mark.parametrize("path", ["", "/", "/tenant", "/a/b", "/tenant/"])
async def test_the_endpoint_is_found_once_where_the_metadata_of_the_issuer_lies(path: str) -> None:
    async with running_issuer(FrozenClock()) as issuer:
        issuer.url += path
        issuer.path = path.rstrip("/")
        async with place_of(issuer, **FOUND) as place:
            assert issuer.metadata_read == 1, "at the start"
            for _ in range(3):
                assert (await place.call(issuer.token())).status_code == 200
        assert issuer.metadata_read == 1


WRONG: dict[str, Callable[[Issuer], Response]] = {
    "not there": lambda _: Response(status_code=404),
    "trouble": lambda _: Response(status_code=503),
    "redirect": lambda issuer: RedirectResponse(f"{issuer.url}/.well-known/oauth-authorization-server?x"),
    "HTML": lambda issuer: Response(json.dumps(issuer.metadata()), media_type="text/html"),
    "not JSON": lambda _: Response("{", media_type="application/json"),
    "array": lambda issuer: JSONResponse([issuer.metadata()]),
    "no issuer": lambda issuer: JSONResponse({"introspection_endpoint": issuer.introspection_endpoint}),
    "issuer with a slash": lambda issuer: JSONResponse(issuer.metadata() | {"issuer": issuer.url + "/"}),
    "issuer in upper case": lambda issuer: JSONResponse(issuer.metadata() | {"issuer": issuer.url.upper()}),
    "issuer in a list": lambda issuer: JSONResponse(issuer.metadata() | {"issuer": [issuer.url]}),
    "another issuer": lambda issuer: JSONResponse(issuer.metadata() | {"issuer": "https://as.test"}),
    "no endpoint": lambda issuer: JSONResponse({"issuer": issuer.url}),
    "endpoint not a string": lambda issuer: JSONResponse(issuer.metadata() | {"introspection_endpoint": 1}),
    "relative endpoint": lambda issuer: JSONResponse(issuer.metadata() | {"introspection_endpoint": "/introspect"}),
    "plain http endpoint": lambda issuer: JSONResponse(
        issuer.metadata() | {"introspection_endpoint": "http://a.test/i"}
    ),
    "endpoint with fragment": lambda issuer: JSONResponse(
        issuer.metadata() | {"introspection_endpoint": f"{issuer.url}/introspect#x"}
    ),
    "endpoint with password": lambda issuer: JSONResponse(
        issuer.metadata() | {"introspection_endpoint": issuer.introspection_endpoint.replace("//", "//a:b@")}
    ),
}


@requirement("S-123", "A-276", "S-246")
@pytest.mark.parametrize("kind", WRONG)
async def test_metadata_that_is_not_exactly_that_of_the_issuer_names_no_endpoint(
    kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(authorization_server, "REDISCOVERY_SECONDS", 0.0)
    async with running_issuer(FrozenClock()) as issuer:
        issuer.metadata_answer = lambda: WRONG[kind](issuer)
        async with place_of(issuer, **FOUND) as place:
            assert [record for record in caplog.records if record.levelno >= logging.WARNING]
            assert_unavailable(await place.call(issuer.token()))
            assert issuer.asked == []
            assert place.app.ran == 0
            issuer.metadata_answer = None
            assert (await place.call(issuer.token())).status_code == 200


@requirement("S-026")
async def test_the_metadata_is_read_by_a_plain_get_whose_connection_is_not_kept() -> None:
    async with running_issuer(FrozenClock()) as issuer:
        host_answer: list[bytes] = []

        async def script(talk: Talk) -> None:
            while True:
                await talk.heard()
                await talk.say(host_answer[0])

        async with hosted(script) as host:
            url = host.url.removesuffix("/introspect")
            metadata = {"issuer": url, "introspection_endpoint": issuer.introspection_endpoint}
            host_answer.append(http(json.dumps(metadata).encode()))
            async with place_of(issuer, issuer=url, **FOUND) as place:
                await until(lambda: host.connections == 1 and not host.open)
                assert (await place.call(issuer.token(iss=url))).status_code == 200
        (request,) = host.requests
        line, *fields = request.rstrip().split(b"\r\n")
        assert line == b"GET /.well-known/oauth-authorization-server HTTP/1.1"
        assert {field.partition(b":")[0].lower() for field in fields} == {
            b"host",
            b"user-agent",
            b"accept",
            b"accept-encoding",
        }


@requirement("S-123")
async def test_the_metadata_of_an_https_issuer_does_not_send_credentials_over_plain_http() -> None:
    server = authorization_server.AuthorizationServer(
        issuer="https://127.0.0.1", introspection_endpoint=None, client_id="c", client_secret="s"
    )
    for endpoint in ("http://127.0.0.1/introspect", "http://localhost/introspect", "http://as.test/introspect"):
        with pytest.raises(NoAnswer):
            server._named_endpoint({"issuer": "https://127.0.0.1", "introspection_endpoint": endpoint})


@requirement("A-276", "S-123")
async def test_an_issuer_that_starts_later_is_found_and_asked_for_its_metadata_at_a_measured_pace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_issuer(FrozenClock()) as issuer:
        issuer.metadata_answer = lambda: Response(status_code=503)
        async with place_of(issuer, **FOUND) as place:
            answers = await asyncio.gather(*(place.call(issuer.token()) for _ in range(20)))
            assert {answer.status_code for answer in answers} == {503}
            assert issuer.metadata_read == 1, "two seconds pass before the next try"
            monkeypatch.setattr(authorization_server, "REDISCOVERY_SECONDS", 0.0)
            place.server._tokens._server._discover_again_at = 0.0
            issuer.metadata_answer = None
            answers = await asyncio.gather(*(place.call(issuer.token()) for _ in range(20)))
            assert {answer.status_code for answer in answers} == {200}
            assert issuer.metadata_read == 2, "all calls wait for the one try"


@requirement("A-276")
async def test_an_endpoint_that_has_moved_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorization_server, "REDISCOVERY_SECONDS", 0.0)
    async with running_issuer(FrozenClock()) as issuer, place_of(issuer, **FOUND) as place:
        assert (await place.call(issuer.token())).status_code == 200
        issuer.endpoint = "/oauth/introspect"
        assert_unavailable(await place.call(issuer.token()))
        assert (await place.call(issuer.token())).status_code == 200
        assert issuer.metadata_read == 2


async def test_an_endpoint_that_was_configured_is_never_looked_for() -> None:
    async with running_place() as place:
        place.issuer.endpoint = "/oauth/introspect"
        assert_unavailable(await place.call(place.issuer.token()))
        assert_unavailable(await place.call(place.issuer.token()))
        assert place.issuer.metadata_read == 0


@requirement("A-276", "S-123")
async def test_an_issuer_that_says_nothing_holds_up_neither_the_start_nor_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(authorization_server, "DEADLINE_SECONDS", 0.05)
    async with hosted(Talk.ended) as host:
        silent = Issuer(FrozenClock())
        silent.url = host.url.removesuffix("/introspect")
        async with place_of(silent, **FOUND) as place:
            for answer in await asyncio.gather(*(place.call("t") for _ in range(5))):
                assert_unavailable(answer)
