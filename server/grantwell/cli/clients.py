"""`grantwell clients`: clients that an operator creates, shows and deletes."""

from __future__ import annotations

import re
from typing import Any

import click

from .._flows.register import registration_answer
from .._protocol.client_metadata import client_document
from ..records import Client
from .deployment import Deployment, provider_of
from .options import awaited, id_argument, with_database, with_json, with_key, with_limit
from .output import everything, instant, print_json, print_listing, print_members

_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")
_GRANT_TYPES = ("authorization_code", "refresh_token")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")


@click.group()
def clients() -> None:
    """Applications that may ask for authorization."""


def _scopes(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(scope for value in values for scope in value.split(" ")))
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise click.BadParameter(f"{scope!r} is not a scope.")
    return scopes


@clients.command()
@click.option("--redirect-uri", "redirect_uris", multiple=True, required=True, metavar="URI", help="May be repeated.")
@click.option("--name", metavar="TEXT", help="What people are shown.")
@click.option("--public", is_flag=True, help="Without a secret, for native and browser applications.")
@click.option(
    "--auth-method", type=click.Choice(_AUTH_METHODS), help="How it authenticates.  [default: client_secret_basic]"
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="SCOPE",
    callback=_scopes,
    help="Limits what it may ask for; may be repeated.  [default: no limit]",
)
@click.option(
    "--grant-type",
    "grant_types",
    multiple=True,
    type=click.Choice(_GRANT_TYPES),
    help="May be repeated.  [default: both]",
)
@with_database
@with_key
@with_json
@awaited
async def create(
    redirect_uris: tuple[str, ...],
    name: str | None,
    public: bool,
    auth_method: str | None,
    scopes: tuple[str, ...],
    grant_types: tuple[str, ...],
    database_url: str,
    secret_key_file: str | None,
    as_json: bool,
) -> None:
    """Create a client. Its secret, if it has one, is shown this once.

    With --json, as RFC 7591 has it.
    """
    if public and auth_method not in (None, "none"):
        raise click.UsageError(f"--public and --auth-method {auth_method} exclude each other.")
    metadata: dict[str, Any] = {
        "redirect_uris": list(redirect_uris),
        "grant_types": list(grant_types or _GRANT_TYPES),
        "token_endpoint_auth_method": "none" if public else auth_method or "client_secret_basic",
        "scope": " ".join(scopes),
    }
    if name is not None:
        metadata["client_name"] = name
    deployment = Deployment(database_url=database_url, secret_key_file=secret_key_file)
    async with deployment.store() as store:
        provider = provider_of(store, await deployment.secret_key(store), scopes=scopes)
        client, secret = await provider.helpers.create_client(metadata)
    document = registration_answer(client, secret)
    if as_json:
        print_json(document)
        return
    document.pop("client_secret_expires_at", None)
    print_members(document | {"client_id_issued_at": instant(client.created_at)})
    if secret is not None:
        click.echo("Keep the secret now: it is not stored, and cannot be shown again.", err=True)


@clients.command("list")
@with_limit
@with_database
@with_json
@awaited
async def list_(limit: int | None, database_url: str, as_json: bool) -> None:
    """List clients, the newest first."""
    async with Deployment(database_url=database_url).store() as store:
        helpers = provider_of(store, None).helpers
        await print_listing(
            everything(lambda size, cursor: helpers.list_clients(limit=size, cursor=cursor), limit),
            as_json=as_json,
            document=_document,
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
@with_database
@with_key
@with_json
@awaited
async def show(client_id: str, database_url: str, secret_key_file: str | None, as_json: bool) -> None:
    """Show the client with exactly this id."""
    deployment = Deployment(database_url=database_url, secret_key_file=secret_key_file)
    async with deployment.store() as store:
        client = await provider_of(store, await deployment.secret_key(store)).helpers.lookup_client(client_id)
        if client is None and await store.get_client(client_id) is not None:
            raise click.ClickException(
                f"The row of this client was not written with the key {deployment.key_file}: "
                "it was changed behind Grantwell's back, or this is the key of another database."
            )
    if client is None:
        raise click.ClickException("There is no client with this id.")
    if as_json:
        print_json(_document(client))
    else:
        times = {"client_id_issued_at": instant(client.created_at), "last_used_at": instant(client.last_used_at)}
        print_members(_document(client) | times)


@clients.command()
@id_argument("client_id")
@with_database
@with_json
@awaited
async def delete(client_id: str, database_url: str, as_json: bool) -> None:
    """Delete the client with exactly this id, with its grants and tokens. They are refused at once."""
    async with Deployment(database_url=database_url).store() as store:
        if not await provider_of(store, None).helpers.delete_client(client_id):
            raise click.ClickException("There is no client with this id.")
    if as_json:
        print_json({"client_id": client_id, "deleted": True})
    else:
        click.echo("The client is deleted, with its grants and tokens.")


def _document(client: Client) -> dict[str, Any]:
    return client_document(client) | {"origin": client.origin, "last_used_at": client.last_used_at}
