"""Users, sessions, interactions and throttles in memory."""

from __future__ import annotations

from dataclasses import replace

from grantwell.records import Digest, Interaction, User
from grantwell.store import (
    MAX_OPEN_INTERACTIONS,
    Attempt,
    InteractionKey,
    NewInteraction,
    Page,
    SignIn,
    UserChange,
    UserQuery,
)

from ..paging import key_of
from .tables import InteractionRow, Tables, Throttle, paged


def add_user(tables: Tables, user: User) -> bool:
    """See `AccountStore.add_user`."""
    return tables.users.setdefault(user.user_id, user) is user


def list_users(tables: Tables, query: UserQuery) -> Page[User]:
    """See `AccountStore.list_users`."""
    behind = None if query.cursor is None else key_of(query.cursor, str)[0]
    users = [user for user in tables.users.values() if behind is None or user.user_id > behind]
    return paged(users, lambda user: (user.user_id,), query.limit, falling=False)


def replace_user(tables: Tables, change: UserChange) -> bool:
    """See `AccountStore.replace_user`."""
    user = change.user
    stored = tables.users.get(user.user_id)
    if stored is None or stored.version != user.version - 1:
        return False
    tables.users[user.user_id] = user
    if change.revokes is not None:
        tables.end_user(user.user_id, change.now, change.revokes)
    return True


def remove_user(tables: Tables, user_id: str, now: int) -> bool:
    """See `AccountStore.delete_user`."""
    if tables.users.pop(user_id, None) is None:
        return False
    tables.end_user(user_id, now, "user_deleted")
    return True


def sign_in(tables: Tables, signed_in: SignIn) -> bool:
    """See `AccountStore.sign_in`."""
    session = signed_in.session
    if tables.live_session(signed_in.replaced, signed_in.now) is None or not tables.enabled(session.user_id):
        return False
    tables.sessions[session.digest] = session
    for row in tables.interactions.values():
        if row.interaction.session == signed_in.replaced and row.is_open(signed_in.now):
            row.interaction = replace(row.interaction, session=session.digest)
    tables.end_session(signed_in.replaced)
    return True


def add_interaction(tables: Tables, new: NewInteraction) -> bool:
    """See `AccountStore.add_interaction`."""
    session = new.interaction.session
    if tables.live_session(session, new.now) is None:
        return False
    tables.interactions[new.interaction.digest] = InteractionRow(new.interaction)
    unanswered = [
        digest
        for digest, row in tables.interactions.items()
        if row.interaction.session == session and row.interaction.closed_at is None
    ]
    live = [digest for digest in unanswered if tables.interactions[digest].is_open(new.now)]
    for digest in set(unanswered) - set(live[-MAX_OPEN_INTERACTIONS:]):
        del tables.interactions[digest]
    return True


def get_interaction(tables: Tables, key: InteractionKey, now: int) -> Interaction | None:
    """See `AccountStore.get_interaction`."""
    row = _open(tables, key, now)
    return None if row is None else row.interaction


def close_interaction(tables: Tables, key: InteractionKey, now: int) -> bool:
    """See `AccountStore.close_interaction`."""
    row = _open(tables, key, now)
    if row is None:
        return False
    row.interaction = replace(row.interaction, closed_at=now)
    return True


def _open(tables: Tables, key: InteractionKey, now: int) -> InteractionRow | None:
    row = tables.interactions.get(key.digest)
    if row is None or row.interaction.session != key.session or not row.is_open(now):
        return None
    return row


def count_attempt(tables: Tables, attempt: Attempt) -> int:
    """See `ThrottleStore.count_attempt`."""
    throttle = tables.throttles.get(attempt.key)
    if throttle is None or attempt.now >= throttle.ends_at:
        throttle = tables.throttles[attempt.key] = Throttle(attempts=0, ends_at=attempt.now + attempt.window)
    throttle.attempts += 1
    return throttle.attempts


def count_attempts(tables: Tables, key: Digest, now: int) -> int:
    """See `ThrottleStore.count_attempts`."""
    throttle = tables.throttles.get(key)
    return 0 if throttle is None or now >= throttle.ends_at else throttle.attempts
