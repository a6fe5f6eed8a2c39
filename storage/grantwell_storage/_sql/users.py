"""Users of the sign-in pages."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from grantwell.records import User
from grantwell.store import Page, UserChange, UserQuery

from ..tables import grants, sessions, users
from .columns import USER
from .decode import readable, to_user
from .encode import user_values
from .endings import end_where
from .listing import by_name

_ADD = insert(users).on_conflict_do_nothing(index_elements=[users.c.user_id]).returning(users.c.user_id)
_GET = select(*USER).where(users.c.user_id == bindparam("id"))
_REPLACE = (
    update(users)
    .where(users.c.user_id == bindparam("id"), users.c.version == bindparam("version_before"))
    .returning(users.c.user_id)
)
_DELETE = delete(users).where(users.c.user_id == bindparam("id")).returning(users.c.user_id)
_SIGN_OUT = delete(sessions).where(sessions.c.user_id == bindparam("id"))


def add(connection: Connection, user: User) -> bool:
    """See `AccountStore.add_user`."""
    return connection.execute(_ADD, user_values(user)).one_or_none() is not None


def get(connection: Connection, user_id: str) -> User | None:
    """See `AccountStore.get_user`."""
    return readable(to_user, connection.execute(_GET, {"id": user_id}).one_or_none())


def listed(connection: Connection, query: UserQuery) -> Page[User]:
    """See `AccountStore.list_users`."""
    return by_name(connection, select(*USER), to_user, users.c.user_id, query.limit, query.cursor)


def replace(connection: Connection, change: UserChange) -> bool:
    """See `AccountStore.replace_user`."""
    user = change.user
    values = user_values(user)
    del values["user_id"]
    values |= {"id": user.user_id, "version_before": user.version - 1}
    if connection.execute(_REPLACE, values).one_or_none() is None:
        return False
    if change.revokes is not None:
        connection.execute(_SIGN_OUT, {"id": user.user_id})
        end_where(connection, grants.c.user_id == user.user_id, change.now, change.revokes)
    return True


def remove(connection: Connection, user_id: str, now: int) -> bool:
    """See `AccountStore.delete_user`."""
    if connection.execute(_DELETE, {"id": user_id}).one_or_none() is None:
        return False
    connection.execute(_SIGN_OUT, {"id": user_id})
    end_where(connection, grants.c.user_id == user_id, now, "user_deleted")
    return True
