"""Events: written in batches, listed by what they tell of."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from grantwell.records import Event
from grantwell.store import EventQuery, Page

from ..tables import events
from .columns import EVENT
from .decode import to_event
from .encode import event_values
from .listing import newest_first

_ADD = insert(events).on_conflict_do_nothing(index_elements=[events.c.event_id])
_KEY = (events.c.at, events.c.event_id)


def add(connection: Connection, new: Sequence[Event]) -> None:
    """See `Store.add_events`."""
    if new:
        connection.execute(_ADD, [event_values(event) for event in new])


def listed(connection: Connection, query: EventQuery) -> Page[Event]:
    """See `Store.list_events`."""
    filters = (
        (events.c.user_id, query.user_id),
        (events.c.client_id, query.client_id),
        (events.c.grant_id, query.grant_id),
        (events.c.name, query.name),
        (events.c.reference, query.reference),
    )
    statement = select(*EVENT).where(*(column == value for column, value in filters if value is not None))
    if query.since is not None:
        statement = statement.where(events.c.at >= query.since)
    return newest_first(connection, statement, to_event, _KEY, query.limit, query.cursor)
