"""What the drill found out, for people and as JSON; no value that was tried is ever in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ..output import plain, print_json, print_table
from .collecting import Loot
from .drill import Outcome
from .haul import MOST_COUNTED

_COLUMNS = ("TRIED AS", "ATTEMPTS", "POSSIBLE", "THROTTLED", "UNANSWERED", "ACCEPTED")


def print_report(loot: Loot, outcome: Outcome) -> None:
    """Print what was collected, the attempts by kind, and what was accepted."""
    more = "more than " if loot.found >= MOST_COUNTED else ""
    click.echo(
        f"{loot.values} values in {loot.rows} rows of {loot.tables} tables, and {len(loot.files)} files, "
        f"made {more}{loot.found} texts; {outcome.texts_tried} of them were tried."
    )
    known = outcome.clients
    click.echo(f"The server knows {len(known.public)} public clients; {len(known.confidential)} others need a secret.")
    click.echo()
    print_table(
        _COLUMNS,
        (
            (kind, tally.tried, tally.possible, tally.throttled, tally.unanswered, tally.accepted)
            for kind, tally in outcome.tallies.items()
        ),
    )
    click.echo()
    for sentence in _sentences(loot, outcome):
        click.echo(plain(sentence))


def print_document(loot: Loot, outcome: Outcome) -> None:
    """Print the same as a JSON object."""
    document: dict[str, Any] = {
        "tables": loot.tables,
        "rows": loot.rows,
        "values": loot.values,
        "files": list(loot.files),
        "texts": {
            "found": loot.found,
            "all_counted": loot.found < MOST_COUNTED,
            "tried": outcome.texts_tried,
        },
        "clients": {"public": len(outcome.clients.public), "others": len(outcome.clients.confidential)},
        "attempts": [
            {
                "kind": kind,
                "tried": tally.tried,
                "possible": tally.possible,
                "throttled": tally.throttled,
                "unanswered": tally.unanswered,
                "accepted": tally.accepted,
            }
            for kind, tally in outcome.tallies.items()
        ],
        "not_tried": list(outcome.not_tried),
        "token_shaped": dict(loot.tokens),
        "accepted": [{"kind": finding.kind, "places": list(finding.places)} for finding in outcome.findings],
    }
    print_json(document)


def _sentences(loot: Loot, outcome: Outcome) -> Iterator[str]:
    if outcome.tried < outcome.possible or len(loot.texts) < loot.found:
        yield f"This is a sample, of what is nearest to the values: {outcome.tried} of {outcome.possible} attempts."
    if outcome.throttled:
        yield f"{outcome.throttled} attempts were refused as guesses (429), which Grantwell does with wrong ones alone."
    yield from (f"Not tried as {sentence}." for sentence in outcome.not_tried)
    for place, count in loot.tokens.items():
        yield f"{place} holds {count} texts in the form of a token, which should not be there, good or not."
    yield from (f"ACCEPTED as {finding.kind}: {', '.join(finding.places)}" for finding in outcome.findings)
    yield f"{outcome.tried} attempts, accepted: {outcome.accepted}."
