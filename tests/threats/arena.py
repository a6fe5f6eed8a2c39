"""A real server on a real socket, with the default pages and a SQLite file, that is watched while it is attacked."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from tests.signin.browser import COOKIE, PASSWORD, USER, Place, running_place
from tests.threats.exchanges import Answer, read_answers
from tests.threats.oracles import (
    Canaries,
    Log,
    Redemptions,
    check_answer,
    files_of,
    issued_by,
    nothing_changes,
)
from tests.wire.world import asgi_scope, new_store, serving, spoken

HOUR = 3600
_FORM = "application/x-www-form-urlencoded"
_APPLICATIONS = ("/api", "/other")
# From here on a server may answer before it has read everything; it then waits for the rest.
_LARGE = 60_000
# A tenth of a second is the aim (O6); measuring coverage takes more than twice as long.
_MOST_BUSY_SECONDS = 5.0


@dataclass
class Arena:
    """The server, what it issued, and what it said."""

    place: Place
    port: int
    folder: Path
    log: Log
    canaries: Canaries = field(default_factory=Canaries)
    redemptions: Redemptions = field(default_factory=Redemptions)
    _props: bytes = b""
    _lines_read: int = 0

    @property
    def database(self) -> Path:
        """The file of the database."""
        return self.folder / "oauth.db"

    def nothing_changes(self) -> AbstractContextManager[None]:
        """Checks that what happens inside leaves every row as it was."""
        return nothing_changes(self.database)

    async def talk(self, wire: bytes, path: str, *, to_head: bool = False) -> list[Answer]:
        """Send bytes over a connection of their own, and return the answers, each checked by the oracles.

        `path` is where the first request is meant to go. No answer at all is for the caller to judge.
        """
        speak = spoken if len(wire) < _LARGE else _spoken_at_length
        async with not_holding_up(_MOST_BUSY_SECONDS):
            said = await speak(self.port, wire)
        answers = read_answers(said, to_head=to_head)
        for answer in answers:
            self._check(path, answer)
        lines, self._lines_read = self.log.lines[self._lines_read :], len(self.log.lines)
        leaked = self.canaries.found_in("\n".join(lines).encode())
        assert not leaked, f"in the log: {leaked}"
        return answers

    def _check(self, path: str, answer: Answer) -> None:
        check_answer(path, answer)
        issued = {self.canaries.note(label, value) for label, value in issued_by(path, answer)}
        if answer.status == 200 and path.startswith(_APPLICATIONS):
            # The application's own: it answers with the props that it is given.
            issued.add(self._props)
        leaked = self.canaries.found_in(answer.raw, but=issued)
        assert not leaked, f"in the answer of {path}: {leaked}"

    async def ask(self, method: str, target: str, *lines: str, form: Mapping[str, Any] | None = None) -> Answer:
        """An ordinary request, with these header lines, which must have one answer."""
        body = b"" if form is None else urlencode(form, doseq=True).encode()
        head = [f"{method} {target} HTTP/1.1", "Host: as.test", *lines]
        if form is not None:
            head += [f"Content-Type: {_FORM}", f"Content-Length: {len(body)}"]
        wire = "\r\n".join([*head, "", ""]).encode("latin-1") + body
        (answer,) = await self.talk(wire, target.partition("?")[0], to_head=method == "HEAD")
        return answer

    async def approved_code(self, parameters: Mapping[str, Any], *, user_id: str) -> str:
        """A code for an authorization request that a user agreed to, made by the application and not by the pages."""
        helpers = self.place.world.provider.helpers
        query = urlencode({"response_type": "code", "code_challenge_method": "S256", **parameters}, doseq=True)
        asked = await helpers.parse_authorization_request(
            Request(asgi_scope("/authorize", query_string=query.encode()))
        )
        location = await helpers.complete_authorization(
            asked, user_id=user_id, props={"upstream": self._props.decode()}
        )
        code = location.partition("code=")[2].partition("&")[0]
        self.canaries.note("code", code)
        return code

    async def signed_in(self) -> str:
        """The cookie of a browser in which the user has just signed in."""
        page = await self.ask("GET", "/signin")
        cookie = session_cookie(page)
        form = {**dict(page.page.forms)["/signin"], "username": USER, "password": PASSWORD}
        answer = await self.ask("POST", "/signin", f"Cookie: {cookie}", form=form)
        assert answer.status == 303, answer.raw
        return session_cookie(answer)

    def check_files(self, secrets_: tuple[bytes, ...] | None = None) -> None:
        """O2 for the disk: none of these secrets (None: none of the run) is in a file of the database."""
        found = {
            (label, name)
            for name, data in files_of(self.folder).items()
            for label in self.canaries.found_in(data, among=secrets_)
        }
        assert not found, found

    def begin(self) -> None:
        """Let so much time pass that whatever slows down guessing has forgotten the case before."""
        self.place.world.clock.advance(HOUR)


async def _spoken_at_length(port: int, request: bytes) -> bytes:
    """What is answered to a request that may be answered early: the connection is ended by us, behind the answer.

    A server that closes the connection with bytes still coming resets it, and the end of its answer may be lost.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        async with asyncio.timeout(10):
            writer.write(request)
            with suppress(OSError, asyncio.IncompleteReadError):
                answer = await reader.readuntil(b"\r\n\r\n")
                await writer.drain()
                writer.write_eof()
            with suppress(OSError):
                while chunk := await reader.read(65_536):
                    answer += chunk
        return answer
    finally:
        writer.close()


def session_cookie(answer: Answer) -> str:
    """The session cookie that an answer sets, as a browser sends it back."""
    (cookie,) = answer.all("set-cookie")
    pair = cookie.partition(";")[0]
    assert pair.startswith(f"{COOKIE}="), cookie
    return pair


@asynccontextmanager
async def running_arena(folder: Path, parser: str, **options: Any) -> AsyncIterator[Arena]:
    """A server with this HTTP parser, its database in the folder; `options` go to the provider."""
    log = Log()
    root = logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.INFO)
    try:
        async with (
            running_place(new_store("sqlite", folder), **options) as place,
            serving(place.world.provider, parser) as port,
        ):
            arena = Arena(place, port, folder, log)
            arena.canaries.note("password", PASSWORD)
            arena._props = arena.canaries.note("props", f"upstream-{secrets.token_hex(16)}")
            yield arena
    finally:
        root.setLevel(level)
        root.removeHandler(log)


@asynccontextmanager
async def not_holding_up(most_seconds: float) -> AsyncIterator[None]:
    """O6: fails the test if the event loop was busy for longer between two chances for others to go on.

    It counts processor time of the loop's own thread, so that a busy machine makes no difference. Time that the
    thread sleeps or waits for a disk is not seen.
    """
    longest = 0.0

    async def probe() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.002)
            longest = max(longest, time.thread_time() - began)

    task = asyncio.create_task(probe())
    try:
        yield
    finally:
        task.cancel()
    assert longest < most_seconds, f"the event loop was busy for {longest:.3f} s at a stretch"
