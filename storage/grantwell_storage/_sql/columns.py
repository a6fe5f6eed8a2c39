"""Which columns make up a record, in the order of its fields."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column

from .. import tables

Columns = tuple[Column[Any], ...]

CLIENT: Columns = tuple(tables.clients.c)
INITIAL_ACCESS_TOKEN: Columns = tuple(tables.initial_access_tokens.c)
GRANT: Columns = tuple(tables.grants.c)[:13]
REFRESH: Columns = tuple(tables.grants.c)[13:30]
CODE: Columns = tuple(tables.codes.c)[1:]
ACCESS_TOKEN: Columns = tuple(tables.access_tokens.c)[1:9]
PROPS: Columns = tuple(tables.props.c)[1:]
USER: Columns = tuple(tables.users.c)
SESSION: Columns = tuple(tables.sessions.c)
EVENT: Columns = tuple(tables.events.c)
INTERACTION: Columns = tuple(tables.interactions.c)[:6]
