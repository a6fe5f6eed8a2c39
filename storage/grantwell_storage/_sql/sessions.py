"""Browser sessions: begun, signed in, ended."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, insert, or_, select, update

from grantwell.records import Digest, Session
from grantwell.store import MAX_LISTED_SESSIONS, SignIn

from ..tables import interactions, sessions, users
from .columns import SESSION
from .decode import all_readable, readable, to_session
from .encode import session_values


def enabled_user(user_id: Any) -> ColumnElement[bool]:
    """That there is an enabled user of this id."""
    return exists().where(users.c.user_id == user_id, users.c.disabled_at.is_(None))


def alive_at(now: Any) -> ColumnElement[bool]:
    """That a session is not past its end and its user, if any, exists and is enabled."""
    return and_(sessions.c.expires_at > now, or_(sessions.c.user_id.is_(None), enabled_user(sessions.c.user_id)))


_ADD = insert(sessions)
_GET = select(*SESSION).where(sessions.c.digest == bindparam("id"), alive_at(bindparam("at")))
_RETIRE = (
    update(sessions)
    .where(sessions.c.digest == bindparam("id"), alive_at(bindparam("at")), enabled_user(bindparam("user")))
    .values(expires_at=bindparam("at"))
    .returning(sessions.c.digest)
)
_MOVE = (
    update(interactions)
    .where(
        interactions.c.session == bindparam("id"),
        interactions.c.closed_at.is_(None),
        interactions.c.expires_at > bindparam("at"),
    )
    .values(session=bindparam("heir"))
)
_END = delete(sessions).where(sessions.c.digest == bindparam("id")).returning(sessions.c.digest)
_LIST = (
    select(*SESSION)
    .where(sessions.c.user_id == bindparam("user"), sessions.c.expires_at > bindparam("at"))
    .order_by(sessions.c.created_at.desc(), sessions.c.digest)
    .limit(MAX_LISTED_SESSIONS)
)
_END_OF_USER = _END.where(sessions.c.user_id == bindparam("user"))
_END_OTHERS = (
    delete(sessions)
    .where(sessions.c.user_id == bindparam("user"), sessions.c.digest != bindparam("id"))
    .returning(sessions.c.digest)
)
_SEAL = (
    update(sessions)
    .where(sessions.c.digest == bindparam("id"), sessions.c.sealed.is_not_distinct_from(bindparam("expected")))
    .values(sealed=bindparam("new"))
    .returning(sessions.c.digest)
)


def add(connection: Connection, session: Session) -> None:
    """See `AccountStore.add_session`."""
    connection.execute(_ADD, session_values(session))


def get(connection: Connection, session: Digest, now: int) -> Session | None:
    """See `AccountStore.get_session`."""
    return readable(to_session, connection.execute(_GET, {"id": session, "at": now}).one_or_none())


def sign_in(connection: Connection, signed_in: SignIn) -> bool:
    """See `AccountStore.sign_in`."""
    values = {"id": signed_in.replaced, "at": signed_in.now, "user": signed_in.session.user_id}
    if connection.execute(_RETIRE, values).one_or_none() is None:
        return False
    connection.execute(_ADD, session_values(signed_in.session))
    connection.execute(_MOVE, {"id": signed_in.replaced, "at": signed_in.now, "heir": signed_in.session.digest})
    connection.execute(_END, {"id": signed_in.replaced})
    return True


def end(connection: Connection, session: Digest) -> bool:
    """See `AccountStore.end_session`. Its interactions go with it, by foreign key."""
    return connection.execute(_END, {"id": session}).one_or_none() is not None


def listed(connection: Connection, user_id: str, now: int) -> tuple[Session, ...]:
    """See `AccountStore.list_sessions`."""
    return all_readable(to_session, connection.execute(_LIST, {"user": user_id, "at": now}).all())


def end_of_user(connection: Connection, user_id: str, session: Digest) -> bool:
    """See `AccountStore.end_user_session`."""
    return connection.execute(_END_OF_USER, {"user": user_id, "id": session}).one_or_none() is not None


def end_others(connection: Connection, user_id: str, kept: Digest) -> int:
    """See `AccountStore.end_other_sessions`."""
    return len(connection.execute(_END_OTHERS, {"user": user_id, "id": kept}).all())


def seal(connection: Connection, session: Digest, sealed: bytes | None, expected: bytes | None) -> bool:
    """See `AccountStore.seal_session`."""
    values = {"id": session, "new": sealed, "expected": expected}
    return connection.execute(_SEAL, values).one_or_none() is not None
