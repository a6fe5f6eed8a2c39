"""Races between four real processes on one SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from grantwell.store import ClientQuery, GrantQuery
from grantwell.testing.samples import (
    GRANT,
    NOW,
    client,
    consent,
    digest,
    given_browser,
    given_consent,
    given_exchanged,
    initial_access,
    live,
    user,
)
from grantwell_storage import SQLStore

from .processes import Racer, racers

ROUNDS = 12
RACERS_EACH = 6
PROCESSES = 4

pytestmark = [pytest.mark.anyio, pytest.mark.system]


@pytest.fixture
def processes(url: str) -> Iterator[list[Racer]]:
    """Four processes on the database of the test."""
    with racers(url, PROCESSES) as running:
        yield running


def race(processes: list[Racer], jobs: list[str], grant: str) -> dict[str, Any]:
    """Let every process do its job at once; the outcome of each racer by its label."""
    labels = [[f"{grant} {number}-{racer}" for racer in range(RACERS_EACH)] for number in range(len(processes))]
    for process, job, own in zip(processes, jobs, labels, strict=True):
        process.ask(job=job, grant=grant, labels=own)
    outcomes: dict[str, Any] = {}
    for process, own in zip(processes, labels, strict=True):
        outcomes |= dict(zip(own, process.answer(), strict=True))
    return outcomes


@pytest.mark.requirement("F-066", "D-01")
async def test_of_racing_exchanges_in_four_processes_exactly_one_wins(store: SQLStore, processes: list[Racer]) -> None:
    for number in range(ROUNDS):
        grant = f"grant-{number}"
        await given_consent(store, consent(grant))
        outcomes = race(processes, ["redeem"] * PROCESSES, grant)
        winners = [label for label, outcome in outcomes.items() if outcome == "redeemed"]
        assert len(winners) == 1
        assert set(outcomes.values()) == {"redeemed", "refused"}
        assert [label for label in outcomes if await live(store, label, grant)] == winners
        found = await store.get_refreshable(grant)
        assert found is not None
        assert found.refresh.current is not None
        assert found.refresh.current.digest == digest(f"r {winners[0]}")
        assert found.refresh.generation == 1


@pytest.mark.requirement("F-067", "D-02")
async def test_of_racing_refreshes_in_four_processes_exactly_one_wins(store: SQLStore, processes: list[Racer]) -> None:
    for number in range(ROUNDS):
        grant = f"grant-{number}"
        await given_exchanged(store, consent(grant))
        outcomes = race(processes, ["rotate"] * PROCESSES, grant)
        winners = [label for label, outcome in outcomes.items() if outcome == "rotated"]
        assert len(winners) == 1
        assert [label for label in outcomes if await live(store, label, grant)] == winners
        found = await store.get_refreshable(grant)
        assert found is not None
        assert found.refresh.generation == 2


@pytest.mark.requirement("F-067", "D-02")
@pytest.mark.parametrize("job", ["rotate", "redeem"])
async def test_what_was_revoked_in_one_process_is_not_brought_back_by_another(
    store: SQLStore, processes: list[Racer], job: str
) -> None:
    for number in range(ROUNDS):
        grant = f"grant-{number}"
        if job == "rotate":
            await given_exchanged(store, consent(grant))
        else:
            await given_consent(store, consent(grant))
        jobs = [job, "revoke", job, job] if number % 2 else ["revoke", job, job, job]
        outcomes = race(processes, jobs, grant)
        assert list(outcomes.values()).count(True) == 1
        found = await store.get_refreshable(grant)
        assert found is not None
        assert (found.refresh.current, found.refresh.previous, found.refresh.seal, found.props) == (None,) * 3 + ((),)
        assert not [label for label in [*outcomes, "a1"] if await live(store, label, grant)]
        code = await store.get_code(grant, digest(f"code of {grant}"))
        assert code is not None
        assert code.code.wrapped_key == b""


@pytest.mark.requirement("D-07")
async def test_of_racers_for_a_lease_in_four_processes_one_has_it(store: SQLStore, processes: list[Racer]) -> None:
    await given_exchanged(store)
    for _ in range(ROUNDS):
        outcomes = race(processes, ["lease"] * PROCESSES, GRANT)
        holders = [label for label, had in outcomes.items() if had]
        assert len(holders) == 1
        await store.release_lease(GRANT, holders[0], refused=False)


@pytest.mark.requirement("F-069")
async def test_a_consent_that_is_given_twice_in_four_processes_makes_one_grant(
    store: SQLStore, processes: list[Racer]
) -> None:
    await store.add_client(client())
    await store.add_user(user())
    await given_browser(store)
    outcomes = race(processes, ["consent"] * PROCESSES, "grant")
    assert sorted(outcomes.values()) == ["added"] + ["interaction_closed"] * (PROCESSES * RACERS_EACH - 1)
    assert len((await store.list_grants(GrantQuery(now=NOW))).items) == 1


async def test_of_racers_for_a_claim_in_four_processes_one_has_it(processes: list[Racer]) -> None:
    for number in range(ROUNDS):
        outcomes = race(processes, ["claim"] * PROCESSES, f"assertion-{number}")
        assert sorted(outcomes.values()) == [False] * (PROCESSES * RACERS_EACH - 1) + [True]


async def test_an_assertion_that_is_used_in_four_processes_makes_one_grant(
    store: SQLStore, processes: list[Racer]
) -> None:
    await store.add_client(client())
    for number in range(ROUNDS):
        outcomes = race(processes, ["claim", "assertion", "assertion", "assertion"], f"assertion-{number}")
        winners = [label for label, outcome in outcomes.items() if outcome in (True, "added")]
        assert len(winners) == 1
        stored = [label for label in outcomes if await store.get_grant(label) is not None]
        assert stored == [label for label in winners if outcomes[label] == "added"]
        assert [label for label in outcomes if await live(store, "a1", label)] == stored


async def test_of_racing_registrations_from_one_address_no_more_than_its_quota_are_stored(
    store: SQLStore, processes: list[Racer]
) -> None:
    outcomes = race(processes, ["register"] * PROCESSES, "client")
    assert sorted(outcomes.values()) == ["registered"] * 3 + ["too_many"] * (PROCESSES * RACERS_EACH - 3)
    stored = {one.client_id for one in (await store.list_clients(ClientQuery())).items}
    assert stored == {label for label, outcome in outcomes.items() if outcome == "registered"}


@pytest.mark.requirement("A-107", "F-070")
async def test_an_initial_access_token_that_is_used_in_four_processes_registers_one_client(
    store: SQLStore, processes: list[Racer]
) -> None:
    for number in range(ROUNDS):
        await store.add_initial_access_token(initial_access(f"initial-{number}"))
        outcomes = race(processes, ["register with token"] * PROCESSES, f"initial-{number}")
        (winner,) = [label for label, outcome in outcomes.items() if outcome == "registered"]
        assert set(outcomes.values()) == {"registered", "spent"}
        assert [one.client_id for one in (await store.list_clients(ClientQuery())).items] == [winner]
        assert await store.delete_client(winner)
