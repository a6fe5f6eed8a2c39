"""What is secret: it never comes twice, it ends, and who has none of it registers nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grantwell import ClientRegistration, OAuthError
from grantwell._flows.clients import seal
from grantwell.records import ClientSecret
from tests.threats.arena import Arena, running_arena
from tests.threats.catalogue import Variant
from tests.threats.hands import Hand
from tests.threats.minting import CHILDREN, KINDS
from tests.wire.world import PARSERS

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

ROOT = Path(__file__).resolve().parent.parent.parent
# 25,000 of each of four kinds: 100,000 values.
EACH = 12_500
# Where the random part of a value is, as characters that each carry whole bits.
RANDOM = {"access": slice(20, 62), "code": slice(20, 62), "refresh": slice(42, 84), "client_id": slice(0, 32)}


@pytest.fixture(scope="module")
def minted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    """What the forked processes made: for each kind, the values of each process."""
    folder = tmp_path_factory.mktemp("minted")
    subprocess.run(
        [sys.executable, "-m", "tests.threats.minting", str(folder), str(EACH)],
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    return {
        kind: [path.read_text(encoding="ascii").split("\n") for path in sorted(folder.glob(f"{kind}-*"))]
        for kind in KINDS
    }


@requirement("A-072", "A-110", "A-332")
def test_no_value_comes_twice_in_one_process_or_in_two_that_were_forked(minted: dict[str, list[list[str]]]) -> None:
    for kind, of_processes in minted.items():
        assert [len(values) for values in of_processes] == [EACH] * CHILDREN
        everything = [value for values in of_processes for value in values]
        assert len(set(everything)) == len(everything), kind
        # Not even the first 96 bits of the random part come twice.
        beginnings = {value[RANDOM[kind]][:24] for value in everything}
        assert len(beginnings) == len(everything), kind


@requirement("A-072")
@pytest.mark.parametrize("kind", KINDS)
def test_every_character_of_the_random_part_is_as_likely_as_the_others(
    minted: dict[str, list[list[str]]], kind: str
) -> None:
    values = [value[RANDOM[kind]] for of_process in minted[kind] for value in of_process]
    alphabet = 16 if kind == "client_id" else 64
    expected = len(values) / alphabet
    for position in range(len(values[0])):
        counts = Counter(value[position] for value in values)
        assert len(counts) == alphabet
        squares = sum((count - expected) ** 2 / expected for count in counts.values())
        # A fair source goes beyond seven standard deviations at one position in some hundred billion.
        degrees = alphabet - 1
        assert squares < degrees + 7 * (2 * degrees) ** 0.5, (kind, position)


async def with_secret_that_ends(arena: Arena, hand: Hand, name: str, seconds: int) -> None:
    """Give the secret of a client an end, as an operator's tool would write it."""
    store: Any = arena.place.store
    client = await store.get_client((await hand.client(name))["client_id"])
    ends = int(arena.place.world.clock()) + seconds
    secrets = tuple(ClientSecret(digest=secret.digest, expires_at=ends) for secret in client.secrets)
    changed = seal(arena.place.keyring, replace(client, secrets=secrets, version=client.version + 1, mac=b""))
    assert await store.replace_client(changed)


@requirement("A-088", "S-214")
@pytest.mark.parametrize("name", ["K1", "K3"])
async def test_a_secret_works_until_the_second_before_its_end(arena: Arena, name: str) -> None:
    members = {"client": name, "expect": "TERR(401,invalid_client)"}
    hand = Hand(arena, Variant(label="", it="", members=members))
    tokens, code = await hand.tokens(), await hand.code()
    await with_secret_that_ends(arena, hand, name, 30)
    arena.place.world.clock.advance(29)
    refreshed = await hand.refresh(name, tokens.refresh[-1])
    assert refreshed.status == 200
    arena.place.world.clock.advance(1)
    with arena.nothing_changes():
        for answer in (await hand.refresh(name, refreshed.json["refresh_token"]), await hand.exchange(name, code)):
            assert (answer.status, answer.json["error"]) == (401, "invalid_client")
            assert answer.json["error_description"] == "Client authentication failed."


INITIAL = "initial-access-token-that-somebody-was-given"


def only_with_a_token(event: ClientRegistration) -> None:
    """A registration callback of an operator who gave one token to somebody, until noon, for one registration."""
    spent = event.headers.get("x-spent")
    if event.headers.get("authorization") != f"Bearer {INITIAL}" or spent or event.headers.get("x-late"):
        raise OAuthError("invalid_token", status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


@pytest.fixture(params=PARSERS)
async def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Arena]:
    """A server that registers nobody without an initial access token."""
    async with running_arena(tmp_path, request.param, client_registration_callback=only_with_a_token) as arena:
        arena.canaries.note("initial access token", INITIAL)
        yield arena
        arena.check_files()


@requirement("A-107", "A-108")
@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([], 401),
        (["Authorization: Bearer wrong"], 401),
        (["Authorization: Basic eDp5"], 401),
        ([f"Authorization: Bearer {INITIAL}", "X-Late: 1"], 401),
        ([f"Authorization: Bearer {INITIAL}", "X-Spent: 1"], 401),
        ([f"Authorization: Bearer {INITIAL}"], 201),
    ],
    ids=["none", "wrong", "another scheme", "expired", "spent", "right"],
)
async def test_a_callback_can_ask_for_an_initial_access_token(guarded: Arena, lines: list[str], status: int) -> None:
    body = json.dumps({"redirect_uris": ["https://c1.test/cb"], "token_endpoint_auth_method": "none"}).encode()
    head = ["POST /register HTTP/1.1", "Host: as.test", "Content-Type: application/json"]
    wire = "\r\n".join([*head, *lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
    with guarded.nothing_changes() if status == 401 else nullcontext():
        (answer,) = await guarded.talk(wire, "/register")
    assert answer.status == status
    assert (answer.get("www-authenticate") or "").startswith("Bearer ") == (status == 401)
