"""Events in memory."""

from __future__ import annotations

from collections.abc import Sequence

from grantwell.records import Event
from grantwell.store import EventQuery, Page

from ..paging import key_of
from .tables import Tables, apart, paged


def add(tables: Tables, new: Sequence[Event]) -> None:
    """See `Store.add_events`."""
    for event in new:
        tables.events.setdefault(event.event_id, apart(event))


def listed(tables: Tables, query: EventQuery) -> Page[Event]:
    """See `Store.list_events`."""

    def key(event: Event) -> tuple[int | str, ...]:
        return event.at, event.event_id

    def wanted(event: Event) -> bool:
        return (
            query.user_id in (None, event.user_id)
            and query.client_id in (None, event.client_id)
            and query.grant_id in (None, event.grant_id)
            and query.name in (None, event.name)
            and query.reference in (None, event.reference)
            and (query.since is None or event.at >= query.since)
        )

    behind = None if query.cursor is None else key_of(query.cursor, int, str)
    found = [event for event in tables.events.values() if wanted(event) and (behind is None or key(event) < behind)]
    return paged(found, key, query.limit, falling=True)
