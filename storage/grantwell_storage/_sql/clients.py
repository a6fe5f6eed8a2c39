"""Clients: what is registered, changed, listed and deleted."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from grantwell.records import Client
from grantwell.store import ClientQuery, Page

from ..tables import clients
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


def add(connection: Connection, client: Client) -> None:
    """See `Store.add_client`."""
    connection.execute(_ADD, client_values(client))


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
