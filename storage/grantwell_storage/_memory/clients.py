"""Clients, initial access tokens and claims in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from grantwell.records import Client, Digest, InitialAccessToken
from grantwell.store import Claim, ClientQuery, Page, Registration

from ..paging import key_of
from .tables import Tables, apart, paged


def add(tables: Tables, client: Client) -> None:
    """See `Store.add_client`. Raises ValueError for an id that is taken."""
    if client.client_id in tables.clients:
        raise ValueError("There is a client of this id already.")
    tables.clients[client.client_id] = apart(client)


def register(tables: Tables, registration: Registration) -> Literal["registered", "too_many", "spent"]:
    """See `Store.register_client`."""
    token = registration.initial_access
    if token is not None and get_initial_access_token(tables, token, registration.now) is None:
        return "spent"
    most, address = registration.most_unused, registration.client.registered_from
    if most is not None and address is not None and _unused(tables, address, registration.since) >= most:
        return "too_many"
    add(tables, registration.client)
    if token is not None:
        del tables.initial_access_tokens[token]
    return "registered"


def _unused(tables: Tables, address: Digest, since: int) -> int:
    return sum(
        client.registered_from == address and client.created_at > since and client.last_used_at is None
        for client in tables.clients.values()
    )


def remove(tables: Tables, client_id: str) -> bool:
    """See `Store.delete_client`."""
    for grant_id, row in list(tables.grants.items()):
        if row.grant.client_id == client_id:
            del tables.grants[grant_id]
    return tables.clients.pop(client_id, None) is not None


def replace_client(tables: Tables, client: Client) -> bool:
    """See `Store.replace_client`."""
    stored = tables.clients.get(client.client_id)
    if stored is None or stored.version != client.version - 1:
        return False
    tables.clients[client.client_id] = replace(apart(client), last_used_at=stored.last_used_at)
    return True


def put_snapshot(tables: Tables, document: Client) -> None:
    """Store the snapshot of a metadata document, as `NewGrant.document` says."""
    if document.client_id in tables.clients:
        replace_client(tables, document)
    else:
        add(tables, document)


def listed(tables: Tables, query: ClientQuery) -> Page[Client]:
    """See `Store.list_clients`."""

    def key(client: Client) -> tuple[int | str, ...]:
        return client.created_at, client.client_id

    behind = None if query.cursor is None else key_of(query.cursor, int, str)
    clients = [client for client in tables.clients.values() if behind is None or key(client) < behind]
    return paged(clients, key, query.limit, falling=True)


def get_initial_access_token(tables: Tables, token: Digest, now: int) -> InitialAccessToken | None:
    """See `Store.get_initial_access_token`."""
    found = tables.initial_access_tokens.get(token)
    return None if found is None or now >= found.expires_at else found


def claim(tables: Tables, claimed: Claim, now: int) -> bool:
    """See `Store.claim`."""
    end = tables.claims.get(claimed.key)
    if end is not None and now < end:
        return False
    tables.claims[claimed.key] = claimed.expires_at
    return True
