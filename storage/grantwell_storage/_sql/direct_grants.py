"""Grants that begin with an access token: issued on the word of the client or of somebody it brings, without a code."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection

from grantwell.store import DirectGrant

from . import access_tokens
from .claims import claim
from .encode import grant_values
from .endings import end_beyond
from .grants import hold_client, insert_grant


def add(connection: Connection, new: DirectGrant) -> Literal["added", "client_gone", "claimed", "stale"]:
    """See `Store.add_direct_grant`."""
    grant, now = new.grant, new.now
    if not hold_client(connection, grant.client_id):
        return "client_gone"
    parent = new.parent
    if parent is not None and access_tokens.get(connection, parent.grant_id, parent.digest, now) is None:
        return "stale"
    if new.claim is not None and not claim(connection, new.claim, now):
        return "claimed"
    # Where the exchange of a code would have left it.
    exchanged = {"generation": 1, "exchanged_at": now, "last_used_at": now}
    insert_grant(connection, grant_values(grant) | exchanged)
    access_tokens.issue(connection, grant.grant_id, new.access, (new.props,), now)
    if new.keep_newest is not None:
        end_beyond(connection, new.keep_newest, grant.grant_id, (grant.user_id, grant.client_id), now)
    return "added"
