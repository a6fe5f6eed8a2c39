"""Every case of the catalogue, over a socket, behind both HTTP parsers; after each the oracles are asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.threats import outcomes
from tests.threats.arena import Arena, running_arena
from tests.threats.catalogue import FILES, Case, Variant, cases
from tests.threats.events import check_after, let_happen
from tests.threats.exchanges import Answer, Request
from tests.threats.hands import Hand
from tests.threats.requests import request_of
from tests.wire.world import PARSERS

pytestmark = pytest.mark.anyio

Arenas = Callable[[str, str], Awaitable[Arena]]

ALL = list(cases())
PLAYED = [
    pytest.param(parser, case, id=f"{parser}-{case.name}", marks=pytest.mark.requirement(case.id))
    for file in FILES
    for parser in PARSERS
    for case in ALL
    if case.file == file and parser in case.parsers
]


@pytest.fixture(scope="module")
async def arenas(tmp_path_factory: pytest.TempPathFactory, anyio_backend: Any) -> AsyncIterator[Arenas]:
    """A server for each file of cases and each parser, started when its first case is played."""
    running: dict[tuple[str, str], Arena] = {}
    async with AsyncExitStack() as stack:

        async def arena(file: str, parser: str) -> Arena:
            if (file, parser) not in running:
                folder: Path = tmp_path_factory.mktemp(f"{file}-{parser}")
                running[file, parser] = await stack.enter_async_context(running_arena(folder, parser))
            return running[file, parser]

        yield arena


@pytest.mark.parametrize(("parser", "case"), PLAYED)
async def test_hostile_input_has_a_safe_outcome(arenas: Arenas, parser: str, case: Case) -> None:
    arena = await arenas(case.file, parser)
    arena.begin()
    hand = Hand(arena, case.variants[0])
    seen = set()
    for variant in case.variants:
        try:
            if not hand.suits(variant):
                await hand.check_everything()
                hand = Hand(arena, variant)
            answers = await _play(hand, variant, parser)
        except AssertionError as error:
            error.add_note(f"{case.title}: {variant.label}")
            raise
        seen |= {answer.without_occasion for answer in answers}
    assert len(seen) == 1 or not case.alike, seen
    await hand.check_everything()


async def _play(hand: Hand, variant: Variant, parser: str) -> list[Answer]:
    """One request; where nothing may change, the next one finds the same credentials."""
    arena, expected = hand.arena, variant.expected(parser)
    unchanged = variant.members.get("unchanged", outcomes.is_refusal(expected))
    hand.take_up(variant)
    for event in hand.still_to_happen():
        await let_happen(event, hand)
    request = await request_of(variant.members, hand)
    with arena.nothing_changes() if unchanged else nullcontext():
        answers = await arena.talk(request.wire, request.path, to_head=request.method == "HEAD")
        outcomes.check(expected, request, answers)
    _count_redemption(arena, request, [answer.status for answer in answers])
    for event in variant.members.get("then", ()):
        await check_after(event, hand, answers[0])
    if not unchanged:
        hand.let_go()
    return answers


def _count_redemption(arena: Arena, request: Request, statuses: list[int]) -> None:
    if (request.path, statuses) == ("/token", [200]) and "code" in request.parameters:
        arena.redemptions.note(request.parameters["code"])


@pytest.mark.requirement("A-321", "A-319")
@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("file", FILES)
async def test_no_secret_of_the_whole_run_lies_in_the_files(arenas: Arenas, file: str, parser: str) -> None:
    arena = await arenas(file, parser)
    arena.check_files()
    assert len(arena.canaries) > 1


def test_every_case_names_its_outcome_and_is_told_from_the_others() -> None:
    assert len({case.name for case in ALL}) == len(ALL) > 100
    assert all(case.variants for case in ALL)
