"""What an application tells of and looks up: events and refusals, as methods of `OAuthHelpers`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .._flows import refusals
from .._flows.context import Context
from ..records import Event
from ..store import EventQuery, Page

_EVENT_NAME = re.compile(r"[a-z][a-z_]{0,63}")


class EventOperations:
    """The operations on what is kept of the past."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def tell(
        self,
        name: str,
        *,
        client_id: str | None = None,
        user_id: str | None = None,
        grant_id: str | None = None,
        reason: str = "",
        actor: str | None = None,
        address: str | None = None,
        details: Mapping[str, str | int | None] | None = None,
    ) -> None:
        """Tell that something happened, as the server itself does: to the log, to `on_event`, and to `list_events`.

        Nothing in it may be secret. Raises ValueError for a name that is not of the kind of `signed_in`, and for
        what cannot be stored.
        """
        if not _EVENT_NAME.fullmatch(name):
            raise ValueError(f"an event has a name of a-z and _, not {name!r}")
        if not all(
            text.isprintable() for text in (client_id or "", user_id or "", grant_id or "", reason, actor or "")
        ):
            raise ValueError("the texts of an event are of printable characters")
        await self._context.tell(
            name,
            self._context.now(),
            client_id=client_id,
            user_id=user_id,
            grant_id=grant_id,
            reason=reason,
            actor=actor,
            address=address,
            details=details,
        )

    def note_refusal(
        self,
        *,
        endpoint: str,
        code: str,
        description: str,
        reason: str,
        status: int,
        client_id: str | None = None,
        user_id: str | None = None,
        address: str | None = None,
        inputs: Mapping[str, str] | None = None,
    ) -> str:
        """Log and keep that a request was refused; returns a reference to show, which `grantwell explain` explains.

        Of `inputs` only parameters are kept that are no secret, and cut. `client_id` is of a client that is known.
        """
        return refusals.note(
            self._context,
            endpoint=endpoint,
            code=code,
            description=description,
            reason=reason,
            status=status,
            client_id=client_id,
            user_id=user_id,
            address=address or self._context.address,
            inputs=inputs or {},
        )

    async def list_events(
        self,
        *,
        user_id: str | None = None,
        client_id: str | None = None,
        grant_id: str | None = None,
        name: str | None = None,
        reference: str | None = None,
        since: int | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Event]:
        """A page of what happened, newest first; `since` is the earliest instant. Raises ValueError.

        A `reference` may be spelled as somebody wrote it down: in small letters, without the dash, O for 0.
        What this process was told is among it, whatever was told elsewhere in the last seconds may not be yet.
        """
        await self._context.audit.flush(self._context.store)
        query = EventQuery(
            user_id=user_id,
            client_id=client_id,
            grant_id=grant_id,
            name=name,
            reference=None if reference is None else refusals.read_reference(reference) or reference,
            since=since,
            limit=limit,
            cursor=cursor,
        )
        return await self._context.store.list_events(query)
