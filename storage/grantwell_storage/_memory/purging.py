"""Purge in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from grantwell.records import Client
from grantwell.store import Purge, PurgeResult

from . import clients
from .tables import GrantRow, Tables

K = TypeVar("K")
V = TypeVar("V")


def purge(tables: Tables, step: Purge) -> PurgeResult:
    """See `Store.purge`. Raises ValueError for a limit below 1."""
    if step.limit < 1:
        raise ValueError(f"A step of the purge removes at least 1 row, not {step.limit}.")
    before = step.ended_before
    counts = {
        "access_tokens": _drop_tokens(tables, step),
        "seals": _drop_seals(tables, step),
        "grants": _drop(tables.grants, lambda row: _ended(row, before), step.limit),
        "interactions": _drop(
            tables.interactions,
            lambda row: _past(row.interaction.expires_at, before) or _past(row.interaction.closed_at, before),
            step.limit,
        ),
        "sessions": _apply(
            tables.end_session, (key for key, row in tables.sessions.items() if row.expires_at <= before), step.limit
        ),
        "throttles": _drop(tables.throttles, lambda row: row.ends_at <= before, step.limit),
        "claims": _drop(tables.claims, lambda end: end <= before, step.limit),
        "initial_access_tokens": _drop(
            tables.initial_access_tokens, lambda token: token.expires_at <= before, step.limit
        ),
        "clients": _apply(
            lambda client_id: clients.remove(tables, client_id),
            (client.client_id for client in tables.clients.values() if _unused(tables, client, step)),
            step.limit,
        ),
        "events": _drop(tables.events, lambda event: _past(event.at, step.events_before), step.limit),
    }
    return PurgeResult(**counts, done=max(counts.values()) < step.limit)


def _drop(rows: dict[K, V], is_dead: Callable[[V], bool], limit: int) -> int:
    return _apply(rows.pop, (key for key, row in rows.items() if is_dead(row)), limit)


def _apply(action: Callable[[K], object], keys: Iterable[K], limit: int) -> int:
    chosen = list(islice(keys, limit))
    for key in chosen:
        action(key)
    return len(chosen)


def _drop_tokens(tables: Tables, step: Purge) -> int:
    dead = (
        (row, token.digest)
        for row in tables.grants.values()
        for token in row.tokens.values()
        if token.expires_at <= step.ended_before
    )
    chosen = list(islice(dead, step.limit))
    for row, digest in chosen:
        del row.tokens[digest]
        row.forget_props()
    return len(chosen)


def _drop_seals(tables: Tables, step: Purge) -> int:
    dead = (row for row in tables.grants.values() if _past(row.refresh.seal_until, step.now))
    chosen = list(islice(dead, step.limit))
    for row in chosen:
        row.refresh = replace(row.refresh, seal=None, seal_until=None)
    return len(chosen)


def _past(end: int | None, before: int | None) -> bool:
    return end is not None and before is not None and end <= before


def _ended(row: GrantRow, before: int) -> bool:
    return _past(row.grant.revoked_at, before) or _past(row.grant.expires_at, before)


def _unused(tables: Tables, client: Client, step: Purge) -> bool:
    if client.origin == "operator":
        return False
    limit = step.never_used_since if client.last_used_at is None else step.unused_since
    last = client.created_at if client.last_used_at is None else client.last_used_at
    if limit is None or last > limit:
        return False
    return not any(row.grant.client_id == client.client_id and row.is_alive(step.now) for row in tables.grants.values())
