"""`grantwell clients`: clients that an operator creates, shows, gives new secrets and deletes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from ..records import Grant
from .asking import confirm, counted, with_consent
from .client_documents import document, missing, readable
from .client_metadata import create, update
from .deployment import Deployment, helpers_of
from .durations import with_duration
from .options import awaited, id_argument, with_database, with_deployment, with_json, with_limit
from .output import everything, instant, plain, print_json, print_listing, print_members, print_table


@click.group()
def clients() -> None:
    """Applications that may ask for authorization."""


clients.add_command(create)
clients.add_command(update)


@clients.command("list")
@with_limit
@with_database
@with_json
@awaited
async def list_(limit: int | None, database_url: str, as_json: bool) -> None:
    """List clients, the newest first."""
    async with Deployment(database_url=database_url).store() as store:
        helpers = helpers_of(store, None)
        await print_listing(
            everything(lambda size, cursor: helpers.list_clients(limit=size, cursor=cursor), limit),
            as_json=as_json,
            document=document,
            columns=("CLIENT", "NAME", "AUTHENTICATION", "ORIGIN", "CREATED", "LAST USED"),
            row=lambda client: (
                client.client_id,
                client.name,
                client.token_endpoint_auth_method,
                client.origin,
                instant(client.created_at),
                instant(client.last_used_at),
            ),
        )


@clients.command()
@id_argument("client_id")
@with_deployment
@with_json
@awaited
async def show(client_id: str, deployment: Deployment, as_json: bool) -> None:
    """Show the client with exactly this id."""
    async with deployment.store() as store:
        client = await helpers_of(store, await deployment.secret_key(store)).lookup_client(client_id)
        if client is None:
            raise await missing(store, deployment, client_id)
    if as_json:
        print_json(document(client))
    else:
        times = {"client_id_issued_at": instant(client.created_at), "last_used_at": instant(client.last_used_at)}
        print_members(readable(document(client)) | times)


@clients.command("rotate-secret")
@id_argument("client_id")
@with_duration("--overlap", default="24h", least=0, help_text="How long the secret before works too")
@with_deployment
@with_json
@awaited
async def rotate_secret(client_id: str, overlap: int, deployment: Deployment, as_json: bool) -> None:
    """Give the client with exactly this id a new secret, which is shown this once."""
    async with deployment.store() as store:
        helpers = helpers_of(store, await deployment.secret_key(store))
        former_ends = int(time.time()) + overlap
        rotated = await helpers.rotate_client_secret(client_id, overlap=overlap)
        if rotated is None:
            raise await missing(store, deployment, client_id)
    members = {"client_id": client_id, "client_secret": rotated[1]}
    if as_json:
        print_json(members | {"client_secret_expires_at": 0, "former_secret_expires_at": former_ends})
        return
    print_members(members)
    click.echo("Keep the secret now: it is not stored, and cannot be shown again.", err=True)
    former = f"works until {instant(former_ends)}" if overlap else "works no more"
    click.echo(f"The secret before {former}.", err=True)


@clients.command("initial-access-token")
@with_duration("--ttl", default="24h", least=1, help_text="How long it may be used")
@with_deployment
@with_json
@awaited
async def initial_access_token(ttl: int, deployment: Deployment, as_json: bool) -> None:
    """Make a token that lets one client register itself, and show it this once.

    For servers with require_initial_access_token=True; the client sends it as a Bearer token (RFC 7591).
    """
    async with deployment.store() as store:
        expires_at = int(time.time()) + ttl
        token = await helpers_of(store, await deployment.secret_key(store)).create_initial_access_token(ttl=ttl)
    if as_json:
        print_json({"initial_access_token": token, "expires_at": expires_at})
        return
    click.echo(token)
    click.echo(
        f"Keep the token now: it cannot be shown again. It is good for one client, until {instant(expires_at)}.",
        err=True,
    )


@clients.command()
@id_argument("client_id")
@with_consent
@with_database
@with_json
@awaited
async def delete(client_id: str, dry_run: bool, yes: bool, database_url: str, as_json: bool) -> None:
    """Delete the client with exactly this id, with its grants and tokens. They are refused at once."""
    async with Deployment(database_url=database_url).store() as store:
        helpers = helpers_of(store, None)
        # A row that cannot be verified must be deletable too, so it is not looked at with the key.
        client = await store.get_client(client_id)
        if client is None:
            raise click.ClickException("There is no client with this id.")
        held = everything(
            lambda size, cursor: helpers.list_grants(client_id=client_id, limit=size, cursor=cursor), None
        )
        grants = [grant async for grant in held]
        if dry_run:
            _preview(client_id, grants, as_json=as_json)
            return
        users = len({grant.user_id for grant in grants})
        named = f"{plain(client.name or client_id)}, {counted(len(grants), 'grant')} of {counted(users, 'user')}"
        confirm(f"Delete the client {named}?", yes=yes)
        if not await helpers.delete_client(client_id):
            raise click.ClickException("There is no client with this id.")
    if as_json:
        print_json({"client_id": client_id, "deleted": True})
    else:
        click.echo("The client is deleted, with its grants and tokens.")


def _preview(client_id: str, grants: Sequence[Grant], *, as_json: bool) -> None:
    """What would go with a client; nothing does."""
    if as_json:
        ids = [grant.grant_id for grant in grants]
        print_json({"dry_run": True, "client_id": client_id, "would_end": {"grants": ids}})
        return
    print_table(("GRANT", "USER"), [(grant.grant_id, grant.user_id) for grant in grants])
    click.echo(f"The client and {counted(len(grants), 'grant')} would be deleted; nothing was changed.", err=True)
