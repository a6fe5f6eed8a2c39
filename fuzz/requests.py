"""Random requests to a real server over real sockets: `python -m fuzz.requests [--count N] [--parser h11]`.

Clients register, users consent, tokens are used; each right request comes with wrong ones that are nearly the same, and
others are made from docs/openapi.json alone. Every answer must be one that the description lists: no 5xx but 503 with
Retry-After, nothing slower than ten seconds, media types, headers and JSON as described.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import IO, Any
from urllib.parse import unquote

from fuzz.description import Description
from fuzz.drafts import Draft
from fuzz.invention import invented
from fuzz.journeys import Traveller
from fuzz.memory import Memory
from fuzz.spoiling import spoiled
from fuzz.wire import Answer, Connection, NoAnswer

PARSERS = ("h11", "httptools")
SENDERS = 4
# What uvicorn says of a request that is no HTTP.
_REFUSED_AS_HTTP = (400, "text/plain; charset=utf-8")
# What a traceback ends with.
_RAISED = re.compile(rb"^([A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Unavailable)\b)", re.MULTILINE)
# h11 lets no answer follow a request body that turned out to be no HTTP; uvicorn logs that as an error.
_OF_H11 = {"h11._util.LocalProtocolError", "h11._util.RemoteProtocolError"}


class Enough(Exception):
    """As many requests were sent as were wanted."""


@dataclass(slots=True)
class Report:
    """What was sent and what came back. A complaint stands with the first request that gave rise to it."""

    wanted: int
    sent: int = 0
    refused_as_http: int = 0
    unanswered: int = 0
    slowest: float = 0.0
    statuses: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    complaints: dict[str, bytes] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    logged: Counter[str] = field(default_factory=Counter)

    def complain(self, complaint: str, request: bytes) -> None:
        """Note a complaint."""
        self.complaints.setdefault(complaint, request)
        self.times[complaint] += 1

    def lines(self) -> list[str]:
        """The report, for people."""
        totals: Counter[int] = sum(self.statuses.values(), Counter())
        found = [
            f"{self.sent:,} requests: "
            + ", ".join(f"{status} × {count:,}" for status, count in sorted(totals.items())),
            f"{self.refused_as_http:,} refused by the HTTP server as no HTTP, {self.unanswered:,} cut off by us; "
            f"slowest answer {self.slowest:.2f} s; exceptions in the server's log: {dict(self.logged) or 'none'}",
        ]
        for path, statuses in sorted(self.statuses.items()):
            found.append(f"  {path:48} " + "  ".join(f"{status}:{count}" for status, count in sorted(statuses.items())))
        for complaint, request in self.complaints.items():
            found += [f"COMPLAINT × {self.times[complaint]}: {complaint}", f"    {request[:1500]!r}"]
        return found


@dataclass(slots=True)
class Sender:
    """Somebody who sends requests and holds each answer against the description."""

    connection: Connection
    description: Description
    memory: Memory
    report: Report

    async def run(self) -> None:
        """Send until it is enough."""
        traveller = Traveller(self.memory, self.send)
        try:
            while True:
                await traveller.travel()
                for _ in range(self.memory.random.randrange(12)):
                    draft = invented(self.memory.random.choice(self.description.operations), self.memory)
                    await self.attempt(spoiled(draft, self.memory) if self.memory.random.random() < 0.3 else draft)
        except Enough:
            return

    async def send(self, draft: Draft) -> Answer:
        """Send some spoiled copies of a request, and then the request."""
        for _ in range(self.memory.random.choice([0, 0, 1, 1, 2, 3])):
            await self.attempt(spoiled(draft, self.memory))
        return await self.attempt(draft)

    async def attempt(self, draft: Draft) -> Answer:
        """Send a request and judge the answer. An answer with the status 0 stands for none."""
        if self.report.sent >= self.report.wanted:
            raise Enough
        self.report.sent += 1
        if not draft.has("x-forwarded-for"):
            draft.headers.append(("X-Forwarded-For", self.memory.address()))
        request = draft.encoded()
        began = time.monotonic()
        try:
            answer = await self.connection.exchange(request, has_body=draft.method != "HEAD", ends=draft.is_cut)
        except NoAnswer:
            self.report.unanswered += 1
            if not draft.is_odd:
                self.report.complain("no answer", request)
            return Answer(0, (), b"")
        except TimeoutError:
            self.report.complain("no answer within ten seconds", request)
            return Answer(0, (), b"")
        self.report.slowest = max(self.report.slowest, time.monotonic() - began)
        self._judge(draft, request, answer)
        return answer

    def _judge(self, draft: Draft, request: bytes, answer: Answer) -> None:
        path = unquote(draft.path)
        place = self.description.template(path) or "(elsewhere)"
        if (answer.status, answer.header("content-type")) == _REFUSED_AS_HTTP:
            self.report.refused_as_http += 1
            if not draft.is_odd:
                self.report.complain(f"{draft.method} {place}: refused as no HTTP", request)
            return
        self.report.statuses[place][answer.status] += 1
        for complaint in self.description.complaints(draft.method, path, answer):
            self.report.complain(f"{draft.method} {place}: {complaint}", request)
        self.memory.note(answer)


@asynccontextmanager
async def running_server(parser: str, log: IO[bytes]) -> AsyncIterator[dict[str, Any]]:
    """A server in a process of its own; what it says of itself. Its errors go to `log`."""
    command = (sys.executable, "-m", "fuzz.server", parser)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=log)
    try:
        if process.stdout is None:
            raise RuntimeError("the server has no output")
        async with asyncio.timeout(60):
            ready = json.loads(await process.stdout.readline())
        yield ready
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def assault(parser: str, count: int, seed: int) -> Report:
    """Send so many random requests to a server with this HTTP parser."""
    description = Description.published()
    names = sorted({name for schema in _schemas(description.document) for name in schema})
    report = Report(count)
    with tempfile.TemporaryFile() as log:
        async with running_server(parser, log) as server:
            memory = Memory(Random(seed), server["clients"], names)
            connections = [Connection(server["port"]) for _ in range(SENDERS)]
            async with asyncio.TaskGroup() as senders:
                for connection in connections:
                    senders.create_task(Sender(connection, description, memory, report).run())
            for connection in connections:
                await connection.close()
        log.seek(0)
        said = log.read()
    report.logged = Counter(name.decode() for name in _RAISED.findall(said))
    if set(report.logged) - _OF_H11:
        report.complain("the server logged an exception", said[-1500:])
    return report


def _schemas(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The members of every object that is described."""
    return [schema["properties"] for schema in document["components"]["schemas"].values() if "properties" in schema]


def main() -> int:
    """Send what the command line asks for; 1 if there is a complaint."""
    arguments = argparse.ArgumentParser(prog="python -m fuzz.requests", description="Random requests over all routes.")
    arguments.add_argument("--count", type=int, default=50_000, help="requests over all parsers (%(default)s)")
    arguments.add_argument("--parser", choices=PARSERS, action="append", help="h11, httptools; both by default")
    arguments.add_argument("--seed", type=int, default=1, help="of the random numbers (%(default)s)")
    options = arguments.parse_args()
    parsers = options.parser or PARSERS
    failed = False
    for parser in parsers:
        began = time.monotonic()
        report = asyncio.run(assault(parser, options.count // len(parsers), options.seed))
        print(f"{parser}, {time.monotonic() - began:.0f} s, seed {options.seed}", *report.lines(), sep="\n", flush=True)
        failed = failed or bool(report.complaints)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
