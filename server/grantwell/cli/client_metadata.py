"""`grantwell clients create` and `update`: what an operator says of a client, as RFC 7591 has it."""

from __future__ import annotations

import re
from typing import IO, Any

import click

from .._flows.register import registration_answer
from .._protocol.json_documents import parse_object
from ..config import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, JWT_BEARER, REFRESH_TOKEN, TOKEN_EXCHANGE
from .client_documents import document as document_of
from .client_documents import missing, readable
from .deployment import Deployment, helpers_of
from .options import awaited, id_argument, with_deployment, with_json
from .output import instant, print_json, print_members

_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
_CODE_FLOW = (AUTHORIZATION_CODE, REFRESH_TOKEN)
_SHORT_NAMES = {"token-exchange": TOKEN_EXCHANGE, "jwt-bearer": JWT_BEARER}
_GRANT_TYPES = (*_CODE_FLOW, CLIENT_CREDENTIALS, *_SHORT_NAMES, *_SHORT_NAMES.values())
_MOST_JWKS_BYTES = 64 * 1024
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")


def _scopes(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(scope for value in values for scope in value.split(" ")))
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise click.BadParameter(f"{scope!r} is not a scope.")
    return scopes


def _grant_types(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_SHORT_NAMES.get(value, value) for value in values)


@click.command()
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
    print_members(readable(document) | {"client_id_issued_at": instant(client.created_at)})
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


@click.command()
@id_argument("client_id")
@click.option("--name", metavar="TEXT", help="What people are shown.")
@click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    metavar="URI",
    help="Where people are sent back to, instead of all before; may be repeated.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="SCOPE",
    callback=_scopes,
    help="Limits what it may ask for, instead of the limit before; may be repeated.",
)
@click.option("--jwks", type=click.File("rb"), metavar="FILE", help="Its public keys, instead of those before.")
@click.option("--jwks-uri", metavar="URL", help="Where its public keys are fetched from, instead.")
@with_deployment
@with_json
@awaited
async def update(
    client_id: str,
    name: str | None,
    redirect_uris: tuple[str, ...],
    scopes: tuple[str, ...],
    jwks: IO[bytes] | None,
    jwks_uri: str | None,
    deployment: Deployment,
    as_json: bool,
) -> None:
    """Change what is said of the client with exactly this id. What is not named stays, and so do its grants."""
    if jwks is not None and jwks_uri is not None:
        raise click.UsageError("--jwks and --jwks-uri exclude each other.")
    changes: dict[str, Any] = {}
    if name is not None:
        changes["client_name"] = name
    if redirect_uris:
        changes["redirect_uris"] = list(redirect_uris)
    if scopes:
        changes["scope"] = " ".join(scopes)
    if jwks is not None:
        changes["jwks"] = _key_set(jwks)
    if jwks_uri is not None:
        changes["jwks_uri"] = jwks_uri
    if not changes:
        raise click.UsageError("Say what is to be changed: --name, --redirect-uri, --scope, --jwks or --jwks-uri.")
    async with deployment.store() as store:
        key = await deployment.secret_key(store)
        before = await helpers_of(store, key).lookup_client(client_id)
        if before is None:
            raise await missing(store, deployment, client_id)
        client = await helpers_of(store, key, scopes=(*(before.scopes or ()), *scopes)).update_client(
            client_id, changes
        )
        if client is None:
            raise await missing(store, deployment, client_id)
    document = document_of(client)
    if as_json:
        print_json(document)
    else:
        print_members(readable(document))
