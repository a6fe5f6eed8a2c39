"""`grantwell events`: what happened, by whom, from where and when; and what happens now."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator

import click

from .._http.authorization import OAuthHelpers
from ..records import Event
from .deployment import Deployment, helpers_of
from .durations import with_duration
from .options import id_option, with_database, with_json, with_limit
from .output import everything, instant, plain, print_listing

_COLUMNS = ("TIME", "EVENT", "USER", "CLIENT", "GRANT", "BY", "FROM", "REFERENCE", "REASON")
_POLL_SECONDS = 1.0
# Servers write a few seconds after the fact, and one of them may be slower than another one.
_LATE_SECONDS = 30


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Filter:
    """Which events: those that everything fits that is given."""

    user: str | None
    client: str | None
    grant: str | None
    name: str | None

    def listing(self, helpers: OAuthHelpers, since: int | None, limit: int | None) -> AsyncIterator[Event]:
        """Those that fit, the newest first."""
        return everything(
            lambda size, cursor: helpers.list_events(
                user_id=self.user,
                client_id=self.client,
                grant_id=self.grant,
                name=self.name,
                since=since,
                limit=size,
                cursor=cursor,
            ),
            limit,
        )


@click.command()
@id_option("--user", "Only those about this user.")
@id_option("--client", "Only those about this client.")
@id_option("--grant", "Only those about this grant.")
@id_option("--name", "Only those of this name, such as refused or grant_revoked.")
@with_duration("--since", least=1, help_text="Only those of so long")
@with_limit
@click.option("--follow", is_flag=True, help="Go on with what happens, the newest last, until Ctrl-C.")
@with_database
@with_json
def events(
    user: str | None,
    client: str | None,
    grant: str | None,
    name: str | None,
    since: int | None,
    limit: int | None,
    follow: bool,
    database_url: str,
    as_json: bool,
) -> None:
    """List what happened, the newest first.

    Servers write it down some seconds after the fact. With --follow and --json each event is one line.
    """
    wanted = _Filter(user=user, client=client, grant=grant, name=name)
    earliest = None if since is None else int(time.time()) - since
    if not follow:
        asyncio.run(_list(wanted, earliest, limit, database_url, as_json=as_json))
        return
    try:
        asyncio.run(_follow(wanted, earliest, limit, database_url, as_json=as_json))
    except KeyboardInterrupt:
        # That is how it ends.
        return


async def _list(wanted: _Filter, since: int | None, limit: int | None, database_url: str, *, as_json: bool) -> None:
    async with Deployment(database_url=database_url).store() as store:
        await print_listing(
            wanted.listing(helpers_of(store, None), since, limit),
            as_json=as_json,
            document=dataclasses.asdict,
            columns=_COLUMNS,
            row=_row,
        )


async def _follow(wanted: _Filter, since: int | None, limit: int | None, database_url: str, *, as_json: bool) -> None:
    """Print those of before, at most `limit`, and then each one that comes; without `since`, from now on."""
    now = int(time.time())
    async with Deployment(database_url=database_url).store() as store:
        helpers = helpers_of(store, None)
        begin = now if since is None else since
        shown = {event.event_id: event.at async for event in wanted.listing(helpers, now - _LATE_SECONDS, None)}
        before = [event async for event in wanted.listing(helpers, begin, limit)]
        for event in reversed(before):
            _print(event, as_json=as_json)
        shown |= {event.event_id: event.at for event in before}
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            earliest = int(time.time()) - _LATE_SECONDS
            found = [event async for event in wanted.listing(helpers, earliest, None)]
            for event in reversed(found):
                if event.event_id not in shown:
                    _print(event, as_json=as_json)
                    shown[event.event_id] = event.at
            shown = {event_id: at for event_id, at in shown.items() if at >= earliest}


def _print(event: Event, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(event)))
    else:
        click.echo("  ".join(plain(cell) for cell in _row(event)))


def _row(event: Event) -> tuple[object, ...]:
    return (
        instant(event.at),
        event.name,
        event.user_id,
        event.client_id,
        event.grant_id,
        event.actor or None,
        event.address,
        event.reference or None,
        event.reason or None,
    )
