"""A server process is killed while it serves a page, at each thing that it does: nothing is half done afterwards."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.pages_app import prepare
from tests.interop.person import CHALLENGE, VERIFIER, parameters_of
from tests.signin.browser import PASSWORD, USER, form_of

pytestmark = [pytest.mark.anyio, pytest.mark.system]

requirement = pytest.mark.requirement

ROOT = Path(__file__).resolve().parents[2]
REDIRECT = "https://client.example/cb"


@dataclass
class Doomed:
    """A server that can be told at which point it dies; another one follows it at once."""

    folder: Path
    listening: socket.socket
    process: subprocess.Popen[bytes] | None = None
    client_id: str = ""
    deaths: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def start(self) -> None:
        """Start it. The socket outlives the process, so that requests wait until it is there."""
        descriptor = self.listening.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.pages_app", str(self.folder), str(descriptor)],
            pass_fds=[descriptor],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,
        )

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    async def survives(self, point: int, request: Awaitable[httpx.Response]) -> httpx.Response | None:
        """The answer to a request; None if the server died of it at this point."""
        armed = self.folder / "armed"
        armed.write_text(str(point))
        try:
            return await request
        except httpx.TransportError:
            self.deaths.append(point)
            return None
        finally:
            armed.unlink(missing_ok=True)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What the database says."""
        with closing(sqlite3.connect(self.folder / "oauth.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
            return database.execute(statement).fetchall()


@dataclass
class Person:
    """Somebody with a browser, on the way through the pages."""

    server: Doomed
    http: httpx.AsyncClient
    page: httpx.Response | None = None

    @property
    def request(self) -> dict[str, str]:
        return {
            "response_type": "code",
            "client_id": self.server.client_id,
            "redirect_uri": REDIRECT,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "state": "xyz",
            "scope": "read",
        }

    async def opens(self) -> httpx.Response:
        """Go to the authorization endpoint."""
        return await self.http.get("/authorize", params=self.request)

    async def follows(self, answer: httpx.Response) -> httpx.Response:
        """Go where an answer leads."""
        assert answer.status_code == 303, answer.text
        return await self.http.get(answer.headers["location"])

    async def signs_in(self, page: httpx.Response) -> httpx.Response:
        """Send the form of the sign-in page."""
        return await self.http.post("/signin", data=form_of(page, "/signin") | {"username": USER, "password": PASSWORD})

    async def allows(self, page: httpx.Response) -> httpx.Response:
        """Send the form of the consent page."""
        return await self.http.post("/consent", data=form_of(page, "/consent") | {"decision": "allow"})

    async def goes_all_the_way(self) -> None:
        """From the beginning to tokens."""
        page = await self.follows(await self.opens())
        if page.url.path == "/signin":
            page = await self.follows(await self.signs_in(page))
        await self.redeems(await self.allows(page))

    async def redeems(self, answer: httpx.Response) -> None:
        """Exchange the code of an answer."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self.server.client_id,
            "code": parameters_of(answer.headers["location"])["code"],
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
        }
        tokens = (await self.http.post("/token", data=form)).raise_for_status().json()
        call = await self.http.get("/api", headers={"Authorization": f"Bearer {tokens['access_token']}"})
        assert call.status_code == 200


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Doomed]:
    """The server, running."""
    prepare(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        doomed = Doomed(tmp_path, listening)
        doomed.start()
        registration = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
        answer = httpx.post(f"{doomed.url}/register", json=registration, timeout=30)
        doomed.client_id = answer.json()["client_id"]
        yield doomed
        doomed.stop()


@asynccontextmanager
async def somebody(server: Doomed) -> AsyncIterator[Person]:
    """A person with a new browser."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        yield Person(server, http)


async def killed_at_each_point(server: Doomed, attempt: Callable[[int], Awaitable[bool]]) -> None:
    """Try with a death at the first point, the second and so on, until there is no point any more."""
    for point in range(50):
        if await attempt(point):
            break
    assert server.deaths == list(range(point))
    assert len(server.deaths) >= 3


@requirement("F-002")
async def test_a_request_that_was_being_opened_is_opened_again_and_leads_to_its_own_code(server: Doomed) -> None:
    async def attempt(point: int) -> bool:
        async with somebody(server) as person:
            answer = await server.survives(point, person.opens())
            await person.goes_all_the_way()
            return answer is not None

    await killed_at_each_point(server, attempt)


@requirement("F-002")
async def test_a_page_that_was_shown_can_be_answered_after_a_death_or_says_that_it_cannot(server: Doomed) -> None:
    async def attempt(point: int) -> bool:
        async with somebody(server) as person:
            shown = await person.follows(await person.opens())
            answer = await server.survives(point, person.opens())
            await person.redeems(await person.allows(await person.follows(await person.signs_in(shown))))
            return answer is not None

    await killed_at_each_point(server, attempt)


@requirement("F-003")
async def test_a_sign_in_replaces_the_session_or_leaves_it_as_it_was(server: Doomed) -> None:
    async def attempt(point: int) -> bool:
        async with somebody(server) as person:
            shown = await person.follows(await person.opens())
            before = set(server.rows("SELECT digest, user_id FROM oauth_sessions"))
            answer = await server.survives(point, person.signs_in(shown))
            after = set(server.rows("SELECT digest, user_id FROM oauth_sessions"))
            gone, come = before - after, after - before
            assert (len(gone), [user for _, user in come]) in ((0, []), (1, [USER]))
            if answer is None and not gone:
                await person.redeems(await person.allows(await person.follows(await person.signs_in(shown))))
            elif answer is None:
                assert (await person.signs_in(shown)).status_code == 403
                person.http.cookies.clear()
                await person.goes_all_the_way()
            return answer is not None

    await killed_at_each_point(server, attempt)


@requirement("F-004")
async def test_consent_makes_one_grant_with_its_code_or_can_be_given_again(server: Doomed) -> None:
    async def attempt(point: int) -> bool:
        async with somebody(server) as person:
            shown = await person.follows(await person.signs_in(await person.follows(await person.opens())))
            count = "SELECT (SELECT count(*) FROM oauth_grants), (SELECT count(*) FROM oauth_codes)"
            (before,) = server.rows(count)
            answer = await server.survives(point, person.allows(shown))
            (after,) = server.rows(count)
            made = tuple(now - then for now, then in zip(after, before, strict=True))
            assert made in ((0, 0), (1, 1))
            again = await person.allows(shown)
            if made == (0, 0):
                await person.redeems(again)
            else:
                assert again.status_code == 403
                assert server.rows(count) == [after]
                await (person.redeems(answer) if answer is not None else person.goes_all_the_way())
            return answer is not None

    await killed_at_each_point(server, attempt)
