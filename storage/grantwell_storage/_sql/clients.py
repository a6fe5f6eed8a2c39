"""Clients: what is registered, changed, listed and deleted."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, bindparam, delete, func, insert, literal, select, update
from sqlalchemy.dialects import sqlite

from grantwell.records import Client
from grantwell.store import ClientQuery, Page, Registration

from ..tables import clients
from . import initial_access
from .columns import CLIENT
from .decode import readable, to_client
from .encode import client_values
from .listing import newest_first

_ADD = insert(clients)
_GET = select(*CLIENT).where(clients.c.client_id == bindparam("id"))
_REPLACE = (
    update(clients)
    .where(clients.c.client_id == bindparam("id"), clients.c.version == bindparam("version_before"))
    .returning(clients.c.client_id)
)
_DELETE = delete(clients).where(clients.c.client_id == bindparam("id")).returning(clients.c.client_id)
_KEY = (clients.c.created_at, clients.c.client_id)

# Counted no further than the quota.
_unused_of_the_address = (
    select(literal(1))
    .where(
        clients.c.registered_from == bindparam("address"),
        clients.c.created_at > bindparam("since"),
        clients.c.last_used_at.is_(None),
    )
    .limit(bindparam("most"))
    .subquery()
)
_ADD_WITHIN_QUOTA = (
    insert(clients)
    .from_select(
        [column.name for column in CLIENT],
        select(*(bindparam(f"new_{column.name}", type_=column.type) for column in CLIENT)).where(
            select(func.count()).select_from(_unused_of_the_address).scalar_subquery() < bindparam("most")
        ),
    )
    .returning(clients.c.client_id)
)

_snapshot = sqlite.insert(clients)
_PUT_SNAPSHOT = _snapshot.on_conflict_do_update(
    index_elements=[clients.c.client_id],
    set_={
        column.name: _snapshot.excluded[column.name]
        for column in CLIENT
        if column not in (clients.c.client_id, clients.c.last_used_at)
    },
    where=clients.c.version == _snapshot.excluded.version - 1,
)


def add(connection: Connection, client: Client) -> None:
    """See `Store.add_client`."""
    connection.execute(_ADD, client_values(client))


def register(connection: Connection, registration: Registration) -> Literal["registered", "too_many", "spent"]:
    """See `Store.register_client`."""
    token = registration.initial_access
    with connection.begin_nested() as step:
        if token is not None and not initial_access.spend(connection, token, registration.now):
            return "spent"
        if not _add_within_quota(connection, registration):
            step.rollback()
            return "too_many"
    return "registered"


def _add_within_quota(connection: Connection, registration: Registration) -> bool:
    client = registration.client
    if registration.most_unused is None or client.registered_from is None:
        add(connection, client)
        return True
    values = {f"new_{name}": value for name, value in client_values(client).items()}
    values |= {"address": client.registered_from, "since": registration.since, "most": registration.most_unused}
    return connection.execute(_ADD_WITHIN_QUOTA, values).one_or_none() is not None


def put_snapshot(connection: Connection, document: Client) -> None:
    """Store the snapshot of a metadata document, as `NewGrant.document` says."""
    connection.execute(_PUT_SNAPSHOT, client_values(document))


def get(connection: Connection, client_id: str) -> Client | None:
    """See `Store.get_client`."""
    return readable(to_client, connection.execute(_GET, {"id": client_id}).one_or_none())


def replace(connection: Connection, client: Client) -> bool:
    """See `Store.replace_client`."""
    values = client_values(client)
    del values["client_id"], values["last_used_at"]
    values |= {"id": client.client_id, "version_before": client.version - 1}
    return connection.execute(_REPLACE, values).one_or_none() is not None


def remove(connection: Connection, client_id: str) -> bool:
    """See `Store.delete_client`. What belongs to the client goes with it, by foreign key."""
    return connection.execute(_DELETE, {"id": client_id}).one_or_none() is not None


def listed(connection: Connection, query: ClientQuery) -> Page[Client]:
    """See `Store.list_clients`."""
    return newest_first(connection, select(*CLIENT), to_client, _KEY, query.limit, query.cursor)
