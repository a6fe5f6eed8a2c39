"""What a command works on: a database, and the deployment key that its rows are authenticated with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from grantwell_storage import SQLStore

from .._flows.context import Context, Hooks
from .._http.authorization import OAuthHelpers
from ..config import DAY, Resource, configure
from ..crypto import SecretKey
from ..errors import ConfigurationError
from ..store import ClientQuery, UserQuery

if TYPE_CHECKING:
    from .config.model import Server

# No row depends on the issuer, so a command need not know it.
ANY_ISSUER = "http://127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Names a database and, if it is not next to it, the file with the key."""

    database_url: str
    secret_key_file: str | None = None
    older_secret_key_file: str | None = None

    @classmethod
    def of(cls, server: Server) -> Deployment:
        """The one that a configuration describes."""
        key, older = server.secret_key_file, server.older_secret_key_file
        return cls(
            database_url=server.database_url,
            secret_key_file=None if key is None else str(key),
            older_secret_key_file=None if older is None else str(older),
        )

    @property
    def key_file(self) -> Path:
        """Where the key is: as named, or next to the SQLite file, with the same stem. Raises ConfigurationError."""
        if self.secret_key_file is not None:
            return Path(self.secret_key_file)
        return self.beside(".key")

    def beside(self, suffix: str) -> Path:
        """The file next to the SQLite database with the same stem and this end. Raises ConfigurationError."""
        return self.database_file.with_name(self.database_file.stem + suffix)

    @property
    def database_file(self) -> Path:
        """The SQLite file. Raises ConfigurationError for another kind of database."""
        try:
            url = make_url(self.database_url)
        except ArgumentError:
            raise ConfigurationError(
                "database_url", "cannot be read; one is sqlite+aiosqlite:///grantwell.db"
            ) from None
        if url.get_backend_name() != "sqlite" or not url.database:
            raise ConfigurationError("secret_key_file", "must be named for a database that is not an SQLite file.")
        return Path(url.database)

    @asynccontextmanager
    async def store(self) -> AsyncIterator[SQLStore]:
        """The database, open. Raises SchemaError, StoreUnavailable, ConfigurationError."""
        store = SQLStore(self.database_url)
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    async def secret_key(self, store: SQLStore) -> SecretKey:
        """The key; it is made for a database that nobody has used yet. Raises ConfigurationError."""
        path = self.key_file
        try:
            if not path.exists() and await _is_used(store):
                raise ConfigurationError(
                    "secret_key", f"{path} is missing, and what is in the database was written with it. Restore it."
                )
            return SecretKey.file(path, older=self.older_secret_key_file)
        except OSError as error:
            raise ConfigurationError("secret_key", f"{path} cannot be used: {error.strerror}") from None


async def _is_used(store: SQLStore) -> bool:
    clients = await store.list_clients(ClientQuery(limit=1))
    users = await store.list_users(UserQuery(limit=1))
    return bool(clients.items or users.items)


def helpers_of(
    store: SQLStore,
    secret_key: SecretKey | None,
    *,
    scopes: Iterable[str] = (),
    unused_client_ttl: int | None = 90 * DAY,
    event_ttl: int | None = 90 * DAY,
) -> OAuthHelpers:
    """The operations of a server that is not running; without a key, those that neither read nor write a MAC.

    What is done with them is the operator's doing, and is in the database when they return.

    `scopes` are those that a client may be given. A command does not know which grant types the servers on this
    database have, so it has them all.
    """
    settings = configure(
        issuer=ANY_ISSUER,
        prefixes=("/",),
        resources={"/": Resource(scopes=dict.fromkeys(scopes, ""))},
        unused_client_ttl=unused_client_ttl,
        event_ttl=event_ttl,
        allow_token_exchange=True,
        trusts_issuers=True,
    )
    context = Context.of(settings, store, secret_key or SecretKey.generate(), Hooks(), for_command=True)
    return OAuthHelpers(context)
