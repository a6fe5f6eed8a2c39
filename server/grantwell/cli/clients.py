"""`grantwell clients`: clients that an operator creates, shows, gives new secrets and deletes."""

from __future__ import annotations

import re
import time
from typing import IO, Any

import click

from grantwell_storage import SQLStore

from .._flows.register import registration_answer
from .._protocol.client_metadata import client_document
from .._protocol.json_documents import parse_object
from ..config import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, JWT_BEARER, REFRESH_TOKEN, TOKEN_EXCHANGE
from ..records import Client
from .deployment import Deployment, helpers_of
from .durations import with_duration
from .options import awaited, id_argument, with_database, with_deployment, with_json, with_limit
from .output import everything, instant, print_json, print_listing, print_members

_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
_CODE_FLOW = (AUTHORIZATION_CODE, REFRESH_TOKEN)
_SHORT_NAMES = {"token-exchange": TOKEN_EXCHANGE, "jwt-bearer": JWT_BEARER}
_GRANT_TYPES = (*_CODE_FLOW, CLIENT_CREDENTIALS, *_SHORT_NAMES, *_SHORT_NAMES.values())
_MOST_JWKS_BYTES = 64 * 1024
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


def _grant_types(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_SHORT_NAMES.get(value, value) for value in values)


@clients.command()
@click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    metavar="URI",
    help="Where people are sent back to, for authorization_code; may be repeated.",
)
@click.option("--name", metavar="TEXT", help="What people are shown.")
@click.option("--public", is_flag=True, help="Without a secret, for native and browser applications.")
@click.option(
    "--auth-method",
    type=click.Choice(_AUTH_METHODS),
    help="How it authenticates.  [default: client_secret_basic; with keys private_key_jwt]",
)
@click.option(
    "--jwks", type=click.File("rb"), metavar="FILE", help="The public keys of its assertions, a JWK Set; - is stdin."
)
@click.option("--jwks-uri", metavar="URL", help="Where its public keys are fetched from.")
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
    metavar="NAME",
    callback=_grant_types,
    help="authorization_code, refresh_token, client_credentials, token-exchange or jwt-bearer; may be repeated.  "
    "[default: the first two, none for a resource server]",
)
@click.option(
    "--resource-server",
    "resource_servers",
    multiple=True,
    metavar="URL",
    help="It serves this resource and may introspect its tokens; may be repeated.",
)
@with_deployment
@with_json
@awaited
async def create(
    redirect_uris: tuple[str, ...],
    name: str | None,
    public: bool,
    auth_method: str | None,
    jwks: IO[bytes] | None,
    jwks_uri: str | None,
    scopes: tuple[str, ...],
    grant_types: tuple[str, ...],
    resource_servers: tuple[str, ...],
    deployment: Deployment,
    as_json: bool,
) -> None:
    """Create a client. Its secret, if it has one, is shown this once.

    With --json, as RFC 7591 has it.
    """
    metadata: dict[str, Any] = {
        "redirect_uris": list(redirect_uris),
        "grant_types": _wanted(grant_types, redirect_uris, resource_servers),
        "token_endpoint_auth_method": _auth_method(public, auth_method, has_keys=bool(jwks or jwks_uri)),
        "scope": " ".join(scopes),
        "introspects": list(resource_servers),
    }
    if jwks is not None and jwks_uri is not None:
        raise click.UsageError("--jwks and --jwks-uri exclude each other.")
    if jwks is not None:
        metadata["jwks"] = _key_set(jwks)
    if jwks_uri is not None:
        metadata["jwks_uri"] = jwks_uri
    if name is not None:
        metadata["client_name"] = name
    async with deployment.store() as store:
        helpers = helpers_of(store, await deployment.secret_key(store), scopes=scopes)
        client, secret = await helpers.create_client(metadata)
    document = registration_answer(client, secret)
    if as_json:
        print_json(document)
        return
    document.pop("client_secret_expires_at", None)
    print_members(_readable(document) | {"client_id_issued_at": instant(client.created_at)})
    if secret is not None:
        click.echo("Keep the secret now: it is not stored, and cannot be shown again.", err=True)


def _wanted(grant_types: tuple[str, ...], redirect_uris: tuple[str, ...], resources: tuple[str, ...]) -> list[str]:
    """The grant types of a new client; one that serves a resource needs none."""
    wanted = grant_types or (() if resources and not redirect_uris else _CODE_FLOW)
    if AUTHORIZATION_CODE in wanted and not redirect_uris:
        raise click.UsageError(
            "Missing option '--redirect-uri', which authorization_code needs. A client that sends nobody to a browser "
            "has another --grant-type, or is a --resource-server."
        )
    if redirect_uris and AUTHORIZATION_CODE not in wanted:
        raise click.UsageError(f"--redirect-uri is for --grant-type {AUTHORIZATION_CODE}.")
    return list(wanted)


def _auth_method(public: bool, chosen: str | None, *, has_keys: bool) -> str:
    if public and chosen not in (None, "none"):
        raise click.UsageError(f"--public and --auth-method {chosen} exclude each other.")
    method = "none" if public else chosen or ("private_key_jwt" if has_keys else "client_secret_basic")
    if has_keys and method != "private_key_jwt":
        raise click.UsageError("--jwks and --jwks-uri are for --auth-method private_key_jwt.")
    if method == "private_key_jwt" and not has_keys:
        raise click.UsageError("--auth-method private_key_jwt needs --jwks or --jwks-uri.")
    return method


def _key_set(file: IO[bytes]) -> dict[str, Any]:
    raw = file.read(_MOST_JWKS_BYTES + 1)
    if len(raw) > _MOST_JWKS_BYTES:
        raise click.ClickException(f"{file.name}: The document is too large to be a JWK Set.")
    try:
        return parse_object(raw)
    except ValueError as error:
        raise click.ClickException(f"{file.name}: {error}") from error


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
@with_deployment
@with_json
@awaited
async def show(client_id: str, deployment: Deployment, as_json: bool) -> None:
    """Show the client with exactly this id."""
    async with deployment.store() as store:
        client = await helpers_of(store, await deployment.secret_key(store)).lookup_client(client_id)
        if client is None:
            raise await _missing(store, deployment, client_id)
    if as_json:
        print_json(_document(client))
    else:
        times = {"client_id_issued_at": instant(client.created_at), "last_used_at": instant(client.last_used_at)}
        print_members(_readable(_document(client)) | times)


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
            raise await _missing(store, deployment, client_id)
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
@with_database
@with_json
@awaited
async def delete(client_id: str, database_url: str, as_json: bool) -> None:
    """Delete the client with exactly this id, with its grants and tokens. They are refused at once."""
    async with Deployment(database_url=database_url).store() as store:
        if not await helpers_of(store, None).delete_client(client_id):
            raise click.ClickException("There is no client with this id.")
    if as_json:
        print_json({"client_id": client_id, "deleted": True})
    else:
        click.echo("The client is deleted, with its grants and tokens.")


def _document(client: Client) -> dict[str, Any]:
    return client_document(client) | {"origin": client.origin, "last_used_at": client.last_used_at}


async def _missing(store: SQLStore, deployment: Deployment, client_id: str) -> click.ClickException:
    """Why there is no client of this id that could be believed."""
    if await store.get_client(client_id) is None:
        return click.ClickException("There is no client with this id.")
    return click.ClickException(
        f"The row of this client was not written with the key {deployment.key_file}: "
        "it was changed behind Grantwell's back, or this is the key of another database."
    )


def _readable(document: dict[str, Any]) -> dict[str, Any]:
    """The document with a line for each key of the client."""
    if "jwks" not in document:
        return document
    return document | {"jwks": [_described(key) for key in document["jwks"]["keys"]]}


def _described(key: dict[str, Any]) -> str:
    """What tells a public key from others: type, curve, algorithm and id, as far as it says so."""
    return " ".join(f"{name}={key[name]}" for name in ("kty", "crv", "alg", "use", "kid") if name in key)
