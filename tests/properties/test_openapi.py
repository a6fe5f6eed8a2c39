"""docs/openapi.json describes the server: its routes, and whatever is answered there, right requests and wrong ones."""

from __future__ import annotations

import json
import re
import time
import tomllib
from collections.abc import AsyncIterator
from itertools import count
from random import Random
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from fuzz.description import METHODS, PUBLISHED, Description, Operation
from fuzz.drafts import Draft
from fuzz.invention import invented
from fuzz.journeys import Traveller
from fuzz.memory import Memory
from fuzz.server import PASSWORD, USER, operators_clients
from fuzz.spoiling import spoiled
from fuzz.wire import Answer
from grantwell_storage import MemoryStore
from tests.signin.browser import Place, running_place
from tests.wire.world import Conversation, asgi_scope

requirement = pytest.mark.requirement

DESCRIPTION = Description.published()
OPERATIONS = [pytest.param(o, id=f"{o.method} {o.path}") for o in DESCRIPTION.operations]
_SENDERS = count()
PATHS = sorted(DESCRIPTION.document["paths"])


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A server with the sign-in pages, and everything on that the description speaks of."""
    options: dict[str, Any] = {
        "introspection_endpoint": "/introspect",
        "allow_client_management": True,
        "allow_token_exchange": True,
        "trusted_proxies": ["203.0.113.7"],
        "clock": time.time,  # what clients sign tells the time
    }
    async with running_place(MemoryStore(), new_user=USER, **options) as place:
        await place.accounts.set_password(USER, PASSWORD)
        yield place


async def answered(place: Place, draft: Draft) -> Answer:
    """The answer to a request, without an HTTP server between."""
    content = draft.content() or b""
    if not draft.has("x-forwarded-for"):
        # From somebody else each time, so that nobody is slowed down for the failures of all.
        draft.headers.append(("X-Forwarded-For", f"10.0.{next(_SENDERS) % 256}.1"))
    if draft.content() is not None and not draft.has("content-type"):
        kind = "application/x-www-form-urlencoded" if draft.form is not None else "application/json"
        draft.headers.append(("content-type", kind))
    scope = asgi_scope(
        unquote(draft.path),
        method=draft.method,
        query_string=urlencode(draft.query).encode(),
        headers=[(name, value) for name, value in draft.headers if value.isascii()],
    )
    call = Conversation(place.world.provider, scope)
    call.say("http.request", body=content)
    started = await call.hear()
    assert started is not None
    headers = tuple((name.decode(), value.decode("latin-1")) for name, value in started["headers"])
    body = b""
    while (message := await call.hear()) is not None:
        body += message.get("body", b"")
    return Answer(started["status"], headers, body)


def complaints(draft: Draft, answer: Answer) -> list[str]:
    """What of an answer is not as it is described."""
    return DESCRIPTION.complaints(draft.method, unquote(draft.path), answer)


async def memory_of(place: Place) -> Memory:
    """What a sender of random requests knows at first."""
    names = sorted(DESCRIPTION.document["components"]["schemas"]["ClientMetadata"]["properties"])
    return Memory(Random(1), await operators_clients(place.world.provider), [*names, "client_id", "scope", "token"])


def test_every_schema_is_one() -> None:
    for schema in DESCRIPTION.document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    ids = [
        item[m]["operationId"]
        for item in DESCRIPTION.document["paths"].values()
        for m in METHODS
        if "operationId" in item.get(m, {})
    ]
    assert len(ids) == len(set(ids))


def test_the_description_is_of_this_version() -> None:
    project = tomllib.loads((PUBLISHED.parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert DESCRIPTION.document["info"]["version"] == project["version"]


@requirement("G-324", "S-016", "S-024")
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_what_is_described_is_answered_as_described(place: Place, operation: Operation) -> None:
    memory = await memory_of(place)
    drafts = [Draft(method=operation.method, path=operation.path.replace("{", "").replace("}", ""))]
    drafts += [invented(operation, memory) for _ in range(15)]
    drafts += [spoiled(draft, memory) for draft in drafts]
    for draft in drafts:
        answer = await answered(place, draft)
        assert complaints(draft, answer) == [], draft


@requirement("G-324", "A-286", "S-016")
@pytest.mark.parametrize("path", PATHS)
async def test_methods_that_are_not_described_are_refused_as_described(place: Place, path: str) -> None:
    item = DESCRIPTION.document["paths"][path]
    for method in [*(m.upper() for m in METHODS if m not in item), "FOO", "post"]:
        draft = Draft(method=method, path=path.replace("{", "").replace("}", ""))
        answer = await answered(place, draft)
        assert answer.status in (404, 405)
        assert complaints(draft, answer) == []


@requirement("G-324", "F-095")
async def test_whole_flows_and_wrong_turns_are_answered_as_described(place: Place) -> None:
    memory = await memory_of(place)
    seen: set[str] = set()

    async def send(draft: Draft) -> Answer:
        for wrong in [spoiled(draft, memory) for _ in range(memory.random.randrange(2))]:
            assert complaints(wrong, await answered(place, wrong)) == [], wrong
        answer = await answered(place, draft)
        assert complaints(draft, answer) == [], draft
        memory.note(answer)
        seen.add(f"{draft.method} {DESCRIPTION.template(draft.path)} {answer.status}")
        return answer

    for _ in range(60):
        await Traveller(memory, send).travel()
    assert seen >= {
        *("POST /register 201", "GET /authorize 303", "POST /signin 303", "POST /consent 303", "POST /token 200"),
        *("POST /revoke 200", "POST /introspect 200", "GET /register/{client_id} 200", "PUT /register/{client_id} 200"),
    }


@requirement("G-325", "A-280")
async def test_every_endpoint_that_the_metadata_advertises_is_described(place: Place) -> None:
    answer = await answered(place, Draft(method="GET", path="/.well-known/oauth-authorization-server"))
    metadata = json.loads(answer.body)
    advertised = {name: urlsplit(url).path for name, url in metadata.items() if name.endswith("_endpoint")}
    assert set(advertised) >= {"authorization_endpoint", "token_endpoint", "introspection_endpoint"}
    for name, path in advertised.items():
        assert DESCRIPTION.template(path) == path, name
    for identifier in metadata["protected_resources"]:
        path = f"/.well-known/oauth-protected-resource{urlsplit(identifier).path}"
        draft = Draft(method="GET", path=path)
        answer = await answered(place, draft)
        assert answer.status == 200
        assert complaints(draft, answer) == []


@requirement("G-325")
async def test_every_place_that_a_page_names_is_described(place: Place) -> None:
    browser = place.browser()
    page = await browser.asked(await place.client())
    shown = page.text + (await browser.get("/signin")).text + (await place.browser().get("/signin")).text
    named = {urlsplit(url).path for url in re.findall(r'(?:action|href)="(/[^"]*)"', shown)}
    assert named >= {"/signin", "/consent", "/signout", "/signin.css"}
    assert {path for path in named if DESCRIPTION.template(path) is None} == set()
