"""SQLStore: both ports of `grantwell.store` on an SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy.dialects import sqlite as sqlite_dialect

from grantwell.errors import StoreUnavailable
from grantwell.records import Client, Digest, Event, Grant, InitialAccessToken, Interaction, Session, User
from grantwell.store import (
    Attempt,
    Claim,
    ClientQuery,
    DirectGrant,
    EventQuery,
    GrantQuery,
    InteractionKey,
    IssuedCode,
    Lease,
    LeaseRequest,
    LiveAccessToken,
    NewAccessToken,
    NewGrant,
    NewInteraction,
    Page,
    Purge,
    PurgeResult,
    Redemption,
    RefreshableGrant,
    Registration,
    Revocation,
    Rotation,
    SignIn,
    Use,
    UserChange,
    UserQuery,
    UserRevocation,
)

from .. import sqlite
from . import (
    access_tokens,
    claims,
    clients,
    codes,
    direct_grants,
    endings,
    grants,
    initial_access,
    interactions,
    purging,
    refresh,
    sessions,
    throttles,
    users,
)
from . import events as event_rows
from .database import Database
from .decode import readable

_LIVE_ACCESS_TOKEN = str(access_tokens.LIVE.compile(dialect=sqlite_dialect.dialect(paramstyle="named")))


class SQLStore:
    """A store in an SQL database, shared by any number of processes; implements `Store` and `AccountStore`.

    `url` names the database: `sqlite+aiosqlite:///oauth.db`, or with four slashes an absolute path. Making the store
    touches nothing; `open` connects. A store belongs to the event loop on which it was opened until it is closed.

    Raises ConfigurationError for a URL that cannot work. Methods raise StoreUnavailable, listings ValueError for a
    cursor or limit that cannot be.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(sqlite.parse_url(url))

    async def open(self) -> None:
        """Verify the schema and connect. Raises SchemaError with the command to run, or StoreUnavailable."""
        await self._database.open()

    async def close(self) -> None:
        """Let the writes that have begun end, and give back every connection, thread and file."""
        await self._database.close()

    async def add_client(self, client: Client) -> None:
        """Store a new client."""
        await self._database.write(clients.add, client)

    async def register_client(self, registration: Registration) -> Literal["registered", "too_many", "spent"]:
        """Store a client that registers itself."""
        return await self._database.write(clients.register, registration)

    async def get_client(self, client_id: str) -> Client | None:
        """The client of exactly this id."""
        return await self._database.read(clients.get, client_id)

    async def replace_client(self, client: Client) -> bool:
        """Store a changed client if the stored version is `client.version - 1`."""
        return await self._database.write(clients.replace, client)

    async def delete_client(self, client_id: str) -> bool:
        """Delete a client with its grants, codes and tokens."""
        return await self._database.write(clients.remove, client_id)

    async def list_clients(self, query: ClientQuery) -> Page[Client]:
        """A page of clients, newest first."""
        return await self._database.read(clients.listed, query)

    async def add_initial_access_token(self, token: InitialAccessToken) -> None:
        """Store a new initial access token."""
        await self._database.write(initial_access.add, token)

    async def get_initial_access_token(self, token: Digest, now: int) -> InitialAccessToken | None:
        """The initial access token, if it is neither spent nor past its end."""
        return await self._database.read(initial_access.get, token, now)

    async def claim(self, claim: Claim, now: int) -> bool:
        """Claim something that may be used once; False if it was claimed before."""
        return await self._database.write(claims.claim, claim, now)

    async def add_grant(self, new: NewGrant) -> Literal["added", "client_gone", "interaction_closed"]:
        """Store a consent, and close its interaction in the same transaction."""
        return await self._database.write(grants.add, new)

    async def add_direct_grant(self, new: DirectGrant) -> Literal["added", "client_gone", "claimed", "stale"]:
        """Store a grant with its access token."""
        return await self._database.write(direct_grants.add, new)

    async def get_code(self, grant_id: str, code: Digest) -> IssuedCode | None:
        """The code of this grant with this digest, redeemed or not, whatever became of its grant."""
        return await self._database.read(codes.get, grant_id, code)

    async def redeem_code(self, redemption: Redemption) -> Literal["redeemed", "refused"]:
        """Spend a code."""
        return await self._database.write(codes.redeem, redemption)

    async def get_refreshable(self, grant_id: str) -> RefreshableGrant | None:
        """The grant with its refresh state, also when it has ended."""
        return await self._database.read(refresh.get, grant_id)

    async def rotate(self, rotation: Rotation) -> Literal["rotated", "stale"]:
        """Store the next generation."""
        return await self._database.write(refresh.rotate, rotation)

    async def add_access_token(self, new: NewAccessToken) -> Literal["added", "stale"]:
        """Store one more access token."""
        return await self._database.write(access_tokens.add, new)

    async def get_access_token(self, grant_id: str, token: Digest, now: int) -> LiveAccessToken | None:
        """The access token, if it, its grant and its client are good at `now`."""
        try:
            row = self._database.point(_LIVE_ACCESS_TOKEN, {"owner": grant_id, "token": token, "at": now})
        except StoreUnavailable:
            # The read on this thread never waits: while another process recovers the log, a thread waits instead.
            return await self._database.read(access_tokens.get, grant_id, token, now)
        return readable(access_tokens.to_live_access_token, row)

    async def revoke_access_token(self, grant_id: str, token: Digest) -> bool:
        """Delete one access token."""
        return await self._database.write(access_tokens.remove, grant_id, token)

    async def take_lease(self, request: LeaseRequest) -> Lease | None:
        """Take the lease of a live grant at this generation."""
        return await self._database.write(refresh.take_lease, request)

    async def renew_lease(self, grant_id: str, lease_id: str, until: int) -> bool:
        """Hold a lease for longer."""
        return await self._database.write(refresh.renew_lease, grant_id, lease_id, until)

    async def release_lease(self, grant_id: str, lease_id: str, *, refused: bool) -> None:
        """Give a lease back."""
        await self._database.write(refresh.release_lease, grant_id, lease_id, refused=refused)

    async def revoke_grant(self, revocation: Revocation) -> bool:
        """End one grant."""
        return await self._database.write(endings.revoke, revocation)

    async def revoke_user_grants(self, revocation: UserRevocation) -> int:
        """End the grants of a user; the number that had not ended."""
        return await self._database.write(endings.revoke_user, revocation)

    async def get_grant(self, grant_id: str) -> Grant | None:
        """The grant of exactly this id."""
        return await self._database.read(grants.get, grant_id)

    async def list_grants(self, query: GrantQuery) -> Page[Grant]:
        """A page of grants, newest first."""
        return await self._database.read(grants.listed, query)

    async def record_use(self, use: Use) -> None:
        """Note that grants and clients were used."""
        await self._database.write(grants.record_use, use)

    async def add_events(self, events: Sequence[Event]) -> None:
        """Remember events; one whose id is there already stays as it is."""
        await self._database.write(event_rows.add, events)

    async def list_events(self, query: EventQuery) -> Page[Event]:
        """A page of events, newest first."""
        return await self._database.read(event_rows.listed, query)

    async def purge(self, purge: Purge) -> PurgeResult:
        """Remove a bounded number of rows that nothing needs any more."""
        return await self._database.write(purging.purge, purge)

    async def add_user(self, user: User) -> bool:
        """Store a new user; False if the id is taken."""
        return await self._database.write(users.add, user)

    async def get_user(self, user_id: str) -> User | None:
        """The user of exactly this id, disabled or not."""
        return await self._database.read(users.get, user_id)

    async def list_users(self, query: UserQuery) -> Page[User]:
        """A page of users, by id."""
        return await self._database.read(users.listed, query)

    async def replace_user(self, change: UserChange) -> bool:
        """Store a changed user; False if it moved or is gone."""
        return await self._database.write(users.replace, change)

    async def delete_user(self, user_id: str, now: int) -> bool:
        """Delete a user and their sessions, and end their grants."""
        return await self._database.write(users.remove, user_id, now)

    async def add_session(self, session: Session) -> None:
        """Store a new browser session."""
        await self._database.write(sessions.add, session)

    async def get_session(self, session: Digest, now: int) -> Session | None:
        """The session, if it is not past its end and its user, if any, exists and is enabled."""
        return await self._database.read(sessions.get, session, now)

    async def sign_in(self, sign_in: SignIn) -> bool:
        """Replace a browser's session at sign-in."""
        return await self._database.write(sessions.sign_in, sign_in)

    async def end_session(self, session: Digest) -> bool:
        """Delete a session with its interactions."""
        return await self._database.write(sessions.end, session)

    async def list_sessions(self, user_id: str, now: int) -> tuple[Session, ...]:
        """The newest sessions of a user that are not past their end, the newest first."""
        return await self._database.read(sessions.listed, user_id, now)

    async def end_user_session(self, user_id: str, session: Digest) -> bool:
        """Delete a session with its interactions, if it is that user's."""
        return await self._database.write(sessions.end_of_user, user_id, session)

    async def end_other_sessions(self, user_id: str, kept: Digest) -> int:
        """Delete every session of a user but one, with their interactions; how many."""
        return await self._database.write(sessions.end_others, user_id, kept)

    async def seal_session(self, session: Digest, sealed: bytes | None, expected: bytes | None) -> bool:
        """Replace what is sealed in a session, if that still is `expected`."""
        return await self._database.write(sessions.seal, session, sealed, expected)

    async def add_interaction(self, new: NewInteraction) -> bool:
        """Remember an authorization request; False if its session has ended."""
        return await self._database.write(interactions.add, new)

    async def get_interaction(self, key: InteractionKey, now: int) -> Interaction | None:
        """The interaction, if it is open, not past its end, and of this session."""
        return await self._database.read(interactions.get, key, now)

    async def close_interaction(self, key: InteractionKey, now: int) -> bool:
        """Close an interaction without a grant; False if it was not open."""
        return await self._database.write(interactions.close, key, now)

    async def count_attempt(self, attempt: Attempt) -> int:
        """Count a try, and return how many there were in its window, this one included."""
        return await self._database.write(throttles.count, attempt)

    async def count_attempts(self, key: Digest, now: int) -> int:
        """How many tries were counted in the window that is running at `now`."""
        return await self._database.read(throttles.counted, key, now)

    async def clear_attempts(self, key: Digest) -> None:
        """Forget the tries under a key."""
        await self._database.write(throttles.clear, key)
