"""Initial access tokens: each lets one client register."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, insert, select

from grantwell.records import Digest, InitialAccessToken

from ..tables import initial_access_tokens
from .columns import INITIAL_ACCESS_TOKEN
from .decode import readable, to_initial_access_token
from .encode import initial_access_token_values

_GOOD = (
    initial_access_tokens.c.digest == bindparam("id"),
    initial_access_tokens.c.expires_at > bindparam("at"),
)
_ADD = insert(initial_access_tokens)
_GET = select(*INITIAL_ACCESS_TOKEN).where(*_GOOD)
_SPEND = delete(initial_access_tokens).where(*_GOOD).returning(initial_access_tokens.c.digest)


def add(connection: Connection, token: InitialAccessToken) -> None:
    """See `Store.add_initial_access_token`."""
    connection.execute(_ADD, initial_access_token_values(token))


def get(connection: Connection, token: Digest, now: int) -> InitialAccessToken | None:
    """See `Store.get_initial_access_token`."""
    return readable(to_initial_access_token, connection.execute(_GET, {"id": token, "at": now}).one_or_none())


def spend(connection: Connection, token: Digest, now: int) -> bool:
    """Delete an initial access token; False if it is unknown, spent or past its end."""
    return connection.execute(_SPEND, {"id": token, "at": now}).one_or_none() is not None
