"""Authorization requests that wait for their user, and how they are answered once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, select, update

from grantwell.records import Interaction
from grantwell.store import MAX_OPEN_INTERACTIONS, InteractionKey, NewInteraction

from ..tables import interactions, sessions
from .columns import INTERACTION
from .decode import readable, to_interaction
from .encode import interaction_values
from .sessions import alive_at, enabled_user

_others = interactions.alias()

_HOLD_SESSION = (
    select(sessions.c.digest)
    .where(sessions.c.digest == bindparam("id"), alive_at(bindparam("at")))
    .with_for_update(read=True, key_share=True)
)
_ADD = insert(interactions).values(
    serial=select(func.coalesce(func.max(_others.c.serial), 0) + 1)
    .where(_others.c.session == bindparam("owner"))
    .scalar_subquery()
)
_TRIM = delete(interactions).where(
    interactions.c.session == bindparam("owner"),
    interactions.c.closed_at.is_(None),
    interactions.c.serial.not_in(
        select(_others.c.serial)
        .where(
            _others.c.session == bindparam("owner"),
            _others.c.closed_at.is_(None),
            _others.c.expires_at > bindparam("at"),
        )
        .order_by(_others.c.serial.desc())
        .limit(MAX_OPEN_INTERACTIONS)
    ),
)
_OPEN = (
    interactions.c.digest == bindparam("id"),
    interactions.c.session == bindparam("owner"),
    interactions.c.closed_at.is_(None),
    interactions.c.expires_at > bindparam("at"),
)
_GET = select(*INTERACTION).where(*_OPEN)
_CLOSE = update(interactions).where(*_OPEN).values(closed_at=bindparam("at")).returning(interactions.c.digest)
_ANSWER = _CLOSE.where(
    exists().where(
        sessions.c.digest == bindparam("owner"),
        sessions.c.user_id == bindparam("user"),
        sessions.c.expires_at > bindparam("at"),
    ),
    enabled_user(bindparam("user")),
)


def add(connection: Connection, new: NewInteraction) -> bool:
    """See `AccountStore.add_interaction`."""
    session = new.interaction.session
    if connection.execute(_HOLD_SESSION, {"id": session, "at": new.now}).one_or_none() is None:
        return False
    connection.execute(_ADD, interaction_values(new.interaction) | {"owner": session})
    connection.execute(_TRIM, {"owner": session, "at": new.now})
    return True


def get(connection: Connection, key: InteractionKey, now: int) -> Interaction | None:
    """See `AccountStore.get_interaction`."""
    return readable(to_interaction, connection.execute(_GET, _values(key, now)).one_or_none())


def close(connection: Connection, key: InteractionKey, now: int) -> bool:
    """See `AccountStore.close_interaction`."""
    return connection.execute(_CLOSE, _values(key, now)).one_or_none() is not None


def answer(connection: Connection, key: InteractionKey, user_id: str | None, now: int) -> bool:
    """Close an interaction for the user who is signed in on its session; False if it is not theirs to answer."""
    return connection.execute(_ANSWER, {**_values(key, now), "user": user_id}).one_or_none() is not None


def _values(key: InteractionKey, now: int) -> dict[str, Any]:
    return {"id": key.digest, "owner": key.session, "at": now}
