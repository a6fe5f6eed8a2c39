"""The sessions of a user, and what is sealed in one, in memory."""

from __future__ import annotations

from dataclasses import replace

from grantwell.records import Digest, Session
from grantwell.store import MAX_LISTED_SESSIONS

from .tables import Tables


def listed(tables: Tables, user_id: str, now: int) -> tuple[Session, ...]:
    """See `AccountStore.list_sessions`."""
    live = [one for one in tables.sessions.values() if one.user_id == user_id and now < one.expires_at]
    live.sort(key=lambda one: (-one.created_at, one.digest))
    return tuple(live[:MAX_LISTED_SESSIONS])


def end_of_user(tables: Tables, user_id: str, session: Digest) -> bool:
    """See `AccountStore.end_user_session`."""
    stored = tables.sessions.get(session)
    return stored is not None and stored.user_id == user_id and tables.end_session(session)


def end_others(tables: Tables, user_id: str, kept: Digest) -> int:
    """See `AccountStore.end_other_sessions`."""
    others = {one.digest for one in tables.sessions.values() if one.user_id == user_id} - {kept}
    return sum(tables.end_session(digest) for digest in others)


def seal(tables: Tables, session: Digest, sealed: bytes | None, expected: bytes | None) -> bool:
    """See `AccountStore.seal_session`."""
    stored = tables.sessions.get(session)
    if stored is None or stored.sealed != expected:
        return False
    tables.sessions[session] = replace(stored, sealed=sealed)
    return True
