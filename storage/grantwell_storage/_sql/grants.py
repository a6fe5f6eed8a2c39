"""Grants: how they come into being, are found, are listed and are used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import (
    Case,
    Column,
    ColumnElement,
    Connection,
    Table,
    Update,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from grantwell.records import Grant
from grantwell.store import GrantQuery, NewGrant, Page, Use

from ..tables import clients, codes, grants, props
from . import interactions
from .clients import put_snapshot
from .columns import GRANT
from .decode import readable, to_grant
from .encode import Values, code_values, grant_values, props_values
from .listing import newest_first

_CHUNK = 500

_GET = select(*GRANT).where(grants.c.grant_id == bindparam("id"))
_ADD_CODE = insert(codes)
_ADD_PROPS = insert(props)
_KEY = (grants.c.created_at, grants.c.grant_id)

# Locked until the grant is in, so that no deletion of the client comes between.
_HOLD_CLIENT = (
    select(clients.c.client_id).where(clients.c.client_id == bindparam("id")).with_for_update(read=True, key_share=True)
)


def alive_at(now: Any) -> ColumnElement[bool]:
    """That a grant is neither revoked nor past its end."""
    return grants.c.revoked_at.is_(None) & or_(grants.c.expires_at.is_(None), grants.c.expires_at > now)


def later_of(column: Column[Any], now: Any) -> Case[Any]:
    """The later of a stored instant, if there is one, and `now`: a clock may be set back."""
    return case((column > now, column), else_=now)


def _add_for(owner: ColumnElement[bool]) -> Any:
    highest = select(func.coalesce(func.max(grants.c.serial), 0)).where(
        owner, grants.c.client_id == bindparam("of_client")
    )
    return insert(grants).values(serial=highest.scalar_subquery() + 1)


# `user_id = NULL` finds nothing, and no other comparison uses the index on every database.
_ADD_FOR_USER = _add_for(grants.c.user_id == bindparam("of_user"))
_ADD_FOR_CLIENT = _add_for(grants.c.user_id.is_(None))


def _note_use_of(table: Table, key: Column[Any]) -> Update:
    used = table.c.last_used_at
    return (
        update(table)
        .where(key.in_(bindparam("ids", expanding=True)), or_(used.is_(None), used < bindparam("at")))
        .values(last_used_at=bindparam("at"))
    )


_USED_GRANTS = _note_use_of(grants, grants.c.grant_id)
_USED_CLIENTS = _note_use_of(clients, clients.c.client_id)


def add(connection: Connection, new: NewGrant) -> Literal["added", "client_gone", "interaction_closed"]:
    """See `Store.add_grant`."""
    grant = new.grant
    if new.document is None and not hold_client(connection, grant.client_id):
        return "client_gone"
    if new.interaction is not None and not interactions.answer(connection, new.interaction, grant.user_id, new.now):
        return "interaction_closed"
    if new.document is not None:
        put_snapshot(connection, new.document)
    insert_grant(connection, grant_values(grant))
    connection.execute(_ADD_CODE, code_values(grant.grant_id, new.code))
    connection.execute(_ADD_PROPS, props_values(grant.grant_id, new.props))
    return "added"


def hold_client(connection: Connection, client_id: str) -> bool:
    """Whether the client is there; it stays until the transaction ends."""
    return connection.execute(_HOLD_CLIENT, {"id": client_id}).one_or_none() is not None


def insert_grant(connection: Connection, row: Values) -> None:
    """Insert the row of a grant, with the next serial of its user and client."""
    statement = _ADD_FOR_CLIENT if row["user_id"] is None else _ADD_FOR_USER
    connection.execute(statement, row | {"of_client": row["client_id"], "of_user": row["user_id"]})


def get(connection: Connection, grant_id: str) -> Grant | None:
    """See `Store.get_grant`."""
    return readable(to_grant, connection.execute(_GET, {"id": grant_id}).one_or_none())


def listed(connection: Connection, query: GrantQuery) -> Page[Grant]:
    """See `Store.list_grants`."""
    statement = select(*GRANT)
    if query.user_id is not None:
        statement = statement.where(grants.c.user_id == query.user_id)
    if query.client_id is not None:
        statement = statement.where(grants.c.client_id == query.client_id)
    if query.created_before is not None:
        statement = statement.where(grants.c.created_at < query.created_before)
    if query.unused_since is not None:
        used = func.coalesce(grants.c.last_used_at, grants.c.created_at)
        statement = statement.where(used <= query.unused_since)
    alive = alive_at(query.now)
    statement = statement.where(~alive if query.state == "ended" else alive)
    if query.state == "active":
        statement = statement.where(grants.c.exchanged_at.is_not(None))
    elif query.state == "pending":
        statement = statement.where(grants.c.exchanged_at.is_(None))
    return newest_first(connection, statement, to_grant, _KEY, query.limit, query.cursor)


def record_use(connection: Connection, use: Use) -> None:
    """See `Store.record_use`."""
    _note(connection, _USED_GRANTS, use.grant_ids, use.now)
    _note(connection, _USED_CLIENTS, use.client_ids, use.now)


def _note(connection: Connection, statement: Update, ids: Sequence[str], now: int) -> None:
    for start in range(0, len(ids), _CHUNK):
        connection.execute(statement, {"ids": list(ids[start : start + _CHUNK]), "at": now})
