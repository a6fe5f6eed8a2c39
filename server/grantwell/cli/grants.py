"""`grantwell grants`: what users allowed clients, and how an operator takes it back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import click

from .._http.authorization import OAuthHelpers
from ..records import Grant
from .asking import confirm, counted, with_consent
from .deployment import Deployment, helpers_of
from .durations import with_duration
from .options import awaited, id_argument, id_option, with_database, with_json, with_limit
from .output import everything, instant, plain, print_json, print_listing, print_members, print_table
from .progress import progress

State = Literal["active", "pending", "ended"]

_COLUMNS = ("GRANT", "USER", "CLIENT", "STATE", "SCOPES", "CREATED", "LAST USED")
# What stands above a question is to be read.
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selection:
    """Which grants: those that every filter fits."""

    user: str | None
    client: str | None
    older_than: int | None
    unused_for: int | None

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return (self.user, self.client, self.older_than, self.unused_for) == (None,) * 4

    def listing(
        self, helpers: OAuthHelpers, now: int, *, state: State | None = None, limit: int | None = None
    ) -> AsyncIterator[Grant]:
        """Those that fit, the newest first."""
        return everything(
            lambda size, cursor: helpers.list_grants(
                user_id=self.user,
                client_id=self.client,
                state=state,
                created_before=None if self.older_than is None else now - self.older_than,
                unused_since=None if self.unused_for is None else now - self.unused_for,
                limit=size,
                cursor=cursor,
            ),
            limit,
        )


@click.group()
def grants() -> None:
    """What users have allowed clients."""


@grants.command("list")
@id_option("--user", "Only those of this user.")
@id_option("--client", "Only those with this client.")
@with_duration("--older-than", least=1, help_text="Only those that were given so long ago")
@with_duration("--unused-for", least=1, help_text="Only those that nobody used for so long")
@click.option(
    "--state",
    type=click.Choice(get_args(State)),
    help="pending: the code is not exchanged yet.  [default: active and pending]",
)
@with_limit
@with_database
@with_json
@awaited
async def list_(
    user: str | None,
    client: str | None,
    older_than: int | None,
    unused_for: int | None,
    state: State | None,
    limit: int | None,
    database_url: str,
    as_json: bool,
) -> None:
    """List grants, the newest first."""
    selection = _Selection(user=user, client=client, older_than=older_than, unused_for=unused_for)
    now = int(time.time())
    async with Deployment(database_url=database_url).store() as store:
        await print_listing(
            selection.listing(helpers_of(store, None), now, state=state, limit=limit),
            as_json=as_json,
            document=lambda grant: _document(grant, now),
            columns=_COLUMNS,
            row=lambda grant: _row(grant, now),
        )


@grants.command()
@id_argument("grant_id")
@with_database
@with_json
@awaited
async def show(grant_id: str, database_url: str, as_json: bool) -> None:
    """Show the grant with exactly this id."""
    async with Deployment(database_url=database_url).store() as store:
        grant = await helpers_of(store, None).lookup_grant(grant_id)
    if grant is None:
        raise click.ClickException("There is no grant with this id.")
    document = _document(grant, int(time.time()))
    if as_json:
        print_json(document)
        return
    times = {name: instant(value) for name, value in document.items() if name.endswith("_at") and value is not None}
    print_members(document | times)


@grants.command()
@id_argument("grant_id", required=False)
@id_option("--user", "All grants of this user.")
@id_option("--client", "All grants with this client; with --user, those of that user.")
@with_duration("--older-than", least=1, help_text="All that were given so long ago; with others, those among them")
@with_duration("--unused-for", least=1, help_text="All that nobody used for so long; with others, those among them")
@click.option("--all", "every", is_flag=True, help="All grants that there are.")
@with_consent
@with_database
@with_json
@awaited
async def revoke(
    grant_id: str | None,
    user: str | None,
    client: str | None,
    older_than: int | None,
    unused_for: int | None,
    every: bool,
    dry_run: bool,
    yes: bool,
    database_url: str,
    as_json: bool,
) -> None:
    """Revoke one grant, or all grants that the options fit together. Their tokens are refused at once.

    What is revoked is what was there when the command began, and what --dry-run lists.
    """
    selection = _Selection(user=user, client=client, older_than=older_than, unused_for=unused_for)
    if (grant_id is not None) + (not selection.is_all) + every != 1:
        raise click.UsageError("Name either one grant, or what the grants have in common, or --all.")
    async with Deployment(database_url=database_url).store() as store:
        helpers = helpers_of(store, None)
        now = int(time.time())
        if grant_id is not None:
            hit = [await _living(helpers, grant_id, now)]
        else:
            hit = [grant async for grant in selection.listing(helpers, now)]
        if dry_run:
            _preview(hit, now, as_json=as_json)
            return
        if hit:
            _ask(hit, now, yes=yes)
        count = 0
        with progress("Revoking", len(hit)) as advance:
            async for ended in helpers.revoke_grants([grant.grant_id for grant in hit]):
                count += ended
                advance(ended)
    if as_json:
        print_json({"revoked": count})
    else:
        click.echo(f"{counted(count, 'grant')} {'is' if count == 1 else 'are'} revoked.")


async def _living(helpers: OAuthHelpers, grant_id: str, now: int) -> Grant:
    grant = await helpers.lookup_grant(grant_id)
    if grant is None or _state(grant, now) == "ended":
        raise click.ClickException("There is no grant with this id that has not ended.")
    return grant


def _preview(hit: Sequence[Grant], now: int, *, as_json: bool) -> None:
    """All that would be hit; nothing is."""
    if as_json:
        print_json({"dry_run": True, "would_revoke": len(hit), "grants": [_document(grant, now) for grant in hit]})
        return
    if hit:
        print_table(_COLUMNS, [_row(grant, now) for grant in hit])
    click.echo(f"{counted(len(hit), 'grant')} would be revoked; nothing was changed.", err=True)


def _ask(hit: Sequence[Grant], now: int, *, yes: bool) -> None:
    """Ask, with what a person needs to know to answer."""
    if not yes:
        for grant in hit[:_MOST_SHOWN]:
            click.echo("  ".join(plain(cell) for cell in _row(grant, now)), err=True)
        if len(hit) > _MOST_SHOWN:
            click.echo(f"… and {len(hit) - _MOST_SHOWN} more; --dry-run lists them all.", err=True)
    users, clients = len({grant.user_id for grant in hit}), len({grant.client_id for grant in hit})
    confirm(
        f"Revoke {counted(len(hit), 'grant')} of {counted(users, 'user')} and {counted(clients, 'client')}?", yes=yes
    )


def _state(grant: Grant, now: int) -> State:
    if grant.revoked_at is not None or (grant.expires_at is not None and now >= grant.expires_at):
        return "ended"
    return "pending" if grant.exchanged_at is None else "active"


def _row(grant: Grant, now: int) -> tuple[object, ...]:
    return (
        grant.grant_id,
        grant.user_id,
        grant.client_id,
        _state(grant, now),
        " ".join(grant.scopes),
        instant(grant.created_at),
        instant(grant.last_used_at),
    )


def _document(grant: Grant, now: int) -> dict[str, Any]:
    return dataclasses.asdict(grant) | {"state": _state(grant, now)}
