"""`grantwell users`: the people who can sign in on the default pages."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import click

from grantwell_storage import SQLStore

from ..crypto import MAX_PASSWORD_BYTES, Keyring, SecretKey
from ..records import User
from ..signin import Accounts
from ..store import UserQuery
from .asking import confirm, counted, with_consent
from .deployment import ANY_ISSUER, Deployment, helpers_of
from .options import F, awaited, id_argument, with_database, with_deployment, with_json, with_limit
from .output import everything, instant, plain, print_json, print_listing, print_table

_COLUMNS = ("USER", "NAME", "ADMINISTRATOR", "CREATED", "DISABLED")


@click.group()
def users() -> None:
    """People who can sign in."""


def _with_password(command: F) -> F:
    return click.option(
        "--password-stdin",
        is_flag=True,
        help="Read the password from the first line of stdin.  [default: $GRANTWELL_PASSWORD, or a prompt]",
    )(command)


@asynccontextmanager
async def _accounts(deployment: Deployment) -> AsyncIterator[tuple[Accounts, SQLStore]]:
    async with deployment.store() as store:
        keyring = Keyring(ANY_ISSUER, await deployment.secret_key(store))
        accounts = Accounts(store, keyring, oauth=helpers_of(store, None))
        try:
            yield accounts, store
        except (LookupError, ValueError) as error:
            raise click.ClickException(_sentence(error)) from error
        finally:
            page = await store.list_users(UserQuery(limit=1000))
            strange = [user for user in page.items if await accounts.get(user.user_id) is None]
            if strange:
                click.echo(
                    f"Rows that were not written with the key {deployment.key_file}, and so count for nothing: "
                    f"{', '.join(plain(user.user_id) for user in strange[:10])}{' …' if strange[10:] else ''}",
                    err=True,
                )


@users.command()
@id_argument("user_id")
@click.option("--admin", is_flag=True, help="As an administrator.")
@_with_password
@with_deployment
@with_json
@awaited
async def add(user_id: str, admin: bool, password_stdin: bool, deployment: Deployment, as_json: bool) -> None:
    """Add a user."""
    async with _accounts(deployment) as (accounts, _):
        user = await accounts.add(user_id, _password(password_stdin), is_admin=admin)
    _print(user, as_json, "added")


@users.command("list")
@with_limit
@with_deployment
@with_json
@awaited
async def list_(limit: int | None, deployment: Deployment, as_json: bool) -> None:
    """List users, by id."""
    async with _accounts(deployment) as (accounts, _):
        await print_listing(
            everything(lambda size, cursor: accounts.list(limit=size, cursor=cursor), limit),
            as_json=as_json,
            document=_document,
            columns=_COLUMNS,
            row=lambda user: (
                user.user_id,
                user.name,
                "yes" if user.is_admin else "no",
                instant(user.created_at),
                instant(user.disabled_at),
            ),
        )


@users.command("set-password")
@id_argument("user_id")
@_with_password
@with_consent
@with_deployment
@with_json
@awaited
async def set_password(
    user_id: str, password_stdin: bool, dry_run: bool, yes: bool, deployment: Deployment, as_json: bool
) -> None:
    """Change a password. The user's grants and sessions end at once."""
    async with _accounts(deployment) as (accounts, store):
        if not await _is_wanted(store, await _known(accounts, user_id), "Change the password", dry_run, yes, as_json):
            return
        user = await accounts.set_password(user_id, _password(password_stdin))
    _print(user, as_json, "has a new password")


@users.command()
@id_argument("user_id")
@with_deployment
@with_json
@awaited
async def enable(user_id: str, deployment: Deployment, as_json: bool) -> None:
    """Let a user sign in again."""
    async with _accounts(deployment) as (accounts, _):
        user = await accounts.enable(user_id)
    _print(user, as_json, "may sign in")


@users.command()
@id_argument("user_id")
@with_consent
@with_deployment
@with_json
@awaited
async def disable(user_id: str, dry_run: bool, yes: bool, deployment: Deployment, as_json: bool) -> None:
    """Keep a user out. The user's grants and sessions end at once."""
    async with _accounts(deployment) as (accounts, store):
        if not await _is_wanted(store, await _known(accounts, user_id), "Keep out", dry_run, yes, as_json):
            return
        user = await accounts.disable(user_id)
    _print(user, as_json, "is kept out")


@users.command("set-admin")
@id_argument("user_id")
@click.option("--yes/--no", "is_admin", default=True, show_default=True, help="Whether the user is one.")
@with_deployment
@with_json
@awaited
async def set_admin(user_id: str, is_admin: bool, deployment: Deployment, as_json: bool) -> None:
    """Make a user an administrator, or, with --no, one no more."""
    async with _accounts(deployment) as (accounts, _):
        user = await accounts.set_admin(user_id, is_admin)
    _print(user, as_json, "is an administrator" if is_admin else "is no administrator")


@users.command()
@id_argument("user_id")
@with_consent
@with_database
@with_json
@awaited
async def delete(user_id: str, dry_run: bool, yes: bool, database_url: str, as_json: bool) -> None:
    """Delete a user. The user's grants and sessions end at once."""
    async with Deployment(database_url=database_url).store() as store:
        # A row that cannot be verified must be deletable too, so no key is needed.
        accounts = Accounts(store, Keyring(ANY_ISSUER, SecretKey.generate()), oauth=helpers_of(store, None))
        user = await store.get_user(user_id) or await store.get_user(user_id.lower())
        if user is None:
            raise click.ClickException("There is no user with this id.")
        if not await _is_wanted(store, user, "Delete", dry_run, yes, as_json):
            return
        if not await accounts.delete(user.user_id):
            raise click.ClickException("There is no user with this id.")
    if as_json:
        print_json({"user_id": user.user_id, "deleted": True})
    else:
        click.echo("The user is deleted.")


async def _known(accounts: Accounts, user_id: str) -> User:
    user = await accounts.get(user_id)
    if user is None:
        raise LookupError(f"there is no user {user_id}")
    return user


async def _is_wanted(store: SQLStore, user: User, act: str, dry_run: bool, yes: bool, as_json: bool) -> bool:
    """Whether to go on, after a look at what ends with it. Raises UsageError, Abort."""
    held = everything(
        lambda size, cursor: helpers_of(store, None).list_grants(user_id=user.user_id, limit=size, cursor=cursor), None
    )
    grants = [grant async for grant in held]
    sessions = await store.list_sessions(user.user_id, int(time.time()))
    ends = f"{counted(len(grants), 'grant')} and {counted(len(sessions), 'session')}"
    if not dry_run:
        confirm(f"{act} {plain(user.user_id)}? It ends {ends}.", yes=yes)
        return True
    if as_json:
        ids = [grant.grant_id for grant in grants]
        print_json({"dry_run": True, "user_id": user.user_id, "would_end": {"grants": ids, "sessions": len(sessions)}})
    else:
        print_table(("GRANT", "CLIENT"), [(grant.grant_id, grant.client_id) for grant in grants])
        click.echo(f"{ends} of {plain(user.user_id)} would end; nothing was changed.", err=True)
    return False


def _password(from_stdin: bool) -> str:
    """A new password; never from the command line, which others can read."""
    if from_stdin:
        line = sys.stdin.buffer.readline(MAX_PASSWORD_BYTES + 3).rstrip(b"\r\n")
        try:
            return line.decode()
        except UnicodeDecodeError:
            raise click.ClickException("The password is not UTF-8.") from None
    if password := os.environ.get("GRANTWELL_PASSWORD"):
        return password
    if not sys.stdin.isatty():
        raise click.UsageError(
            "there is no terminal to ask for the password: use --password-stdin or $GRANTWELL_PASSWORD."
        )
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


def _print(user: User, as_json: bool, outcome: str) -> None:
    if as_json:
        print_json(_document(user))
    else:
        click.echo(f"{user.user_id}: {outcome}.")


def _document(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "name": user.name,
        "is_admin": user.is_admin,
        "created_at": user.created_at,
        "disabled_at": user.disabled_at,
    }


def _sentence(error: Exception) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    return plain(text[:1].upper() + text[1:]) + "."
