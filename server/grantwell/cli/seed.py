"""Makes the demonstration ready to serve: its schema, its key, its user and its notes."""

from __future__ import annotations

import secrets

import click

from ..crypto import Keyring
from ..signin import Accounts
from .demo import DemoSettings
from .demo.notes import Notes, NotesUnavailable
from .deployment import Deployment, helpers_of

DEMO_USER = "demo"


async def seed(deployment: Deployment, settings: DemoSettings, password: str) -> str:
    """Make key, notes and user, where they are not there yet; `password` "" leaves the choice.

    An existing user keeps the password, because another one would end every grant; a given one that differs is set.
    Returns what the terminal is told about the password.
    """
    try:
        Notes(settings.notes_file).create()
    except (OSError, NotesUnavailable) as error:
        raise click.ClickException(f"The file {settings.notes_file} cannot be used: {error}.") from None
    async with deployment.store() as store:
        keyring = Keyring(settings.issuer, await deployment.secret_key(store))
        accounts = Accounts(store, keyring, oauth=helpers_of(store, None))
        known = await accounts.get(DEMO_USER) is not None
        if not known and await store.get_user(DEMO_USER) is not None:
            raise click.ClickException(f"The key {deployment.key_file} is not the one of this database.")
        try:
            return await (_kept(accounts, password) if known else _added(accounts, password))
        except ValueError as error:
            raise click.ClickException(f"$GRANTWELL_DEMO_PASSWORD cannot be used: {error}.") from None


async def _added(accounts: Accounts, password: str) -> str:
    if password:
        await accounts.add(DEMO_USER, password, is_admin=True)
        return "with the password from $GRANTWELL_DEMO_PASSWORD"
    password = secrets.token_urlsafe(12)
    await accounts.add(DEMO_USER, password, is_admin=True)
    return f"password {password} (printed this once; it stays valid when you start again)"


async def _kept(accounts: Accounts, password: str) -> str:
    if not password:
        return "with the password of the first start (forgotten? grantwell users set-password demo)"
    if await accounts.authenticate(DEMO_USER, password) is None:
        await accounts.set_password(DEMO_USER, password)
        return "with the new password from $GRANTWELL_DEMO_PASSWORD; the grants given before have ended"
    return "with the password from $GRANTWELL_DEMO_PASSWORD"
