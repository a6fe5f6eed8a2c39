"""Claims: what may be used once, and is remembered until its end."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam
from sqlalchemy.dialects.sqlite import insert

from grantwell.store import Claim

from ..tables import claims

_claimed = insert(claims)
_CLAIM = _claimed.on_conflict_do_update(
    index_elements=[claims.c.key],
    set_={"expires_at": _claimed.excluded.expires_at},
    where=claims.c.expires_at <= bindparam("at"),
).returning(claims.c.key)


def claim(connection: Connection, claimed: Claim, now: int) -> bool:
    """See `Store.claim`."""
    values = {"key": claimed.key, "expires_at": claimed.expires_at, "at": now}
    return connection.execute(_CLAIM, values).one_or_none() is not None
