"""Purge: bounded steps of housekeeping, each found by an index."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    false,
    or_,
    select,
    tuple_,
    update,
)

from grantwell.store import Purge, PurgeResult

from ..tables import (
    access_tokens,
    claims,
    clients,
    events,
    grants,
    initial_access_tokens,
    interactions,
    sessions,
    throttles,
)
from .access_tokens import forget_props
from .grants import alive_at

_BEFORE: Any = bindparam("before")
_MOST: Any = bindparam("most")
_PURGED_ORIGINS = ("registration", "document")


def _dead(table: Table, *ends: ColumnElement[Any]) -> Executable:
    """Delete a bounded number of rows of which an end came before."""
    key = tuple(table.primary_key)
    dead = select(*key).where(or_(*(end <= _BEFORE for end in ends))).limit(_MOST)
    return delete(table).where((tuple_(*key) if len(key) > 1 else key[0]).in_(dead)).returning(key[0])


_ACCESS_TOKENS = _dead(access_tokens, access_tokens.c.expires_at)
_GRANTS = _dead(grants, grants.c.expires_at, grants.c.revoked_at)
_SESSIONS = _dead(sessions, sessions.c.expires_at)
_INTERACTIONS = _dead(interactions, interactions.c.expires_at, interactions.c.closed_at)
_THROTTLES = _dead(throttles, throttles.c.ends_at)
_CLAIMS = _dead(claims, claims.c.expires_at)
_INITIAL_ACCESS_TOKENS = _dead(initial_access_tokens, initial_access_tokens.c.expires_at)
_EVENTS = _dead(events, events.c.at)
_SEALS = (
    update(grants)
    .where(grants.c.grant_id.in_(select(grants.c.grant_id).where(grants.c.seal_until <= _BEFORE).limit(_MOST)))
    .values(seal=None, seal_until=None)
    .returning(grants.c.grant_id)
)


def purge(connection: Connection, step: Purge) -> PurgeResult:
    """See `Store.purge`. Raises ValueError for a limit below 1."""
    if step.limit < 1:
        raise ValueError(f"A step of the purge removes at least 1 row, not {step.limit}.")
    ended: dict[str, int | None] = {"before": step.ended_before, "most": step.limit}
    tokens = connection.execute(_ACCESS_TOKENS, ended).scalars().all()
    if tokens:
        forget_props(connection, sorted(set(tokens)))
    old_events = {"before": step.events_before, "most": step.limit}
    counts = {
        "access_tokens": len(tokens),
        "seals": _count(connection, _SEALS, {"before": step.now, "most": step.limit}),
        "grants": _count(connection, _GRANTS, ended),
        "interactions": _count(connection, _INTERACTIONS, ended),
        "sessions": _count(connection, _SESSIONS, ended),
        "throttles": _count(connection, _THROTTLES, ended),
        "claims": _count(connection, _CLAIMS, ended),
        "initial_access_tokens": _count(connection, _INITIAL_ACCESS_TOKENS, ended),
        "clients": _count(connection, _unused_clients(step), {}),
        "events": 0 if step.events_before is None else _count(connection, _EVENTS, old_events),
    }
    return PurgeResult(**counts, done=max(counts.values()) < step.limit)


def _count(connection: Connection, statement: Executable, values: dict[str, int | None]) -> int:
    return len(connection.execute(statement, values).all())


def _unused_clients(step: Purge) -> Executable:
    used, created = clients.c.last_used_at, clients.c.created_at
    unused = or_(
        false() if step.unused_since is None else used <= step.unused_since,
        false() if step.never_used_since is None else and_(used.is_(None), created <= step.never_used_since),
    )
    live = exists().where(grants.c.client_id == clients.c.client_id, alive_at(step.now))
    found = select(clients.c.client_id).where(clients.c.origin.in_(_PURGED_ORIGINS), unused, ~live).limit(step.limit)
    return delete(clients).where(clients.c.client_id.in_(found)).returning(clients.c.client_id)
