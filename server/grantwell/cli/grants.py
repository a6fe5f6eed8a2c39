"""`grantwell grants`: what users allowed clients, and how an operator takes it back."""

from __future__ import annotations

import dataclasses
import time
from typing import Any, Literal, get_args

import click

from .._http.authorization import OAuthHelpers
from ..records import Grant
from .deployment import Deployment, helpers_of
from .options import awaited, id_argument, id_option, with_database, with_json, with_limit
from .output import everything, instant, print_json, print_listing

State = Literal["active", "pending", "ended"]


@click.group()
def grants() -> None:
    """What users have allowed clients."""


@grants.command("list")
@id_option("--user", "Only those of this user.")
@id_option("--client", "Only those with this client.")
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
    user: str | None, client: str | None, state: State | None, limit: int | None, database_url: str, as_json: bool
) -> None:
    """List grants, the newest first."""
    now = int(time.time())
    async with Deployment(database_url=database_url).store() as store:
        helpers = helpers_of(store, None)
        await print_listing(
            everything(
                lambda size, cursor: helpers.list_grants(
                    user_id=user, client_id=client, state=state, limit=size, cursor=cursor
                ),
                limit,
            ),
            as_json=as_json,
            document=lambda grant: _document(grant, now),
            columns=("GRANT", "USER", "CLIENT", "STATE", "SCOPES", "CREATED", "LAST USED"),
            row=lambda grant: (
                grant.grant_id,
                grant.user_id,
                grant.client_id,
                _state(grant, now),
                " ".join(grant.scopes),
                instant(grant.created_at),
                instant(grant.last_used_at),
            ),
        )


@grants.command()
@id_argument("grant_id", required=False)
@id_option("--user", "All grants of this user.")
@id_option("--client", "All grants with this client; with --user, those of that user.")
@with_database
@with_json
@awaited
async def revoke(grant_id: str | None, user: str | None, client: str | None, database_url: str, as_json: bool) -> None:
    """Revoke one grant, or all grants of a user or a client. Their tokens are refused at once."""
    if (grant_id is None) == (user is None and client is None):
        raise click.UsageError("Name either one grant, or --user, --client or both.")
    async with Deployment(database_url=database_url).store() as store:
        helpers = helpers_of(store, None)
        if grant_id is not None:
            count = int(await helpers.revoke_grant(grant_id))
        elif user is not None:
            count = await helpers.revoke_user_grants(user, client_id=client)
        else:
            count = await _revoke_all_of(helpers, client)
    if grant_id is not None and count == 0:
        raise click.ClickException("There is no grant with this id that has not ended.")
    if as_json:
        print_json({"revoked": count})
    else:
        click.echo("1 grant is revoked." if count == 1 else f"{count} grants are revoked.")


async def _revoke_all_of(helpers: OAuthHelpers, client_id: str | None) -> int:
    """Revoke page by page, always the first one, because what is revoked leaves the listing."""
    count = 0
    while True:
        page = await helpers.list_grants(client_id=client_id, limit=500)
        if not page.items:
            return count
        for grant in page.items:
            count += await helpers.revoke_grant(grant.grant_id)


def _state(grant: Grant, now: int) -> State:
    if grant.revoked_at is not None or (grant.expires_at is not None and now >= grant.expires_at):
        return "ended"
    return "pending" if grant.exchanged_at is None else "active"


def _document(grant: Grant, now: int) -> dict[str, Any]:
    return dataclasses.asdict(grant) | {"state": _state(grant, now)}
