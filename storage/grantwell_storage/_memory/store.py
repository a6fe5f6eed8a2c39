"""MemoryStore: both ports of `grantwell.store` in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

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

from . import accounts, clients, grants, purging, sessions
from . import events as event_rows
from .tables import Tables, apart


class MemoryStore:
    """A store for tests and first steps, of one process and one event loop; implements `Store` and `AccountStore`.

    It obeys the same contract as `SQLStore`, but everything is gone when the process ends. `close` keeps it all.
    Listings raise ValueError for a cursor or limit that cannot be.
    """

    def __init__(self) -> None:
        self._tables = Tables()

    async def open(self) -> None:
        """Do nothing: it is ready."""

    async def close(self) -> None:
        """Do nothing: it holds no file, and may be opened again."""

    async def add_client(self, client: Client) -> None:
        """Store a new client."""
        clients.add(self._tables, client)

    async def register_client(self, registration: Registration) -> Literal["registered", "too_many", "spent"]:
        """Store a client that registers itself."""
        return clients.register(self._tables, registration)

    async def get_client(self, client_id: str) -> Client | None:
        """The client of exactly this id."""
        return apart(self._tables.clients.get(client_id))

    async def replace_client(self, client: Client) -> bool:
        """Store a changed client if the stored version is `client.version - 1`."""
        return clients.replace_client(self._tables, client)

    async def delete_client(self, client_id: str) -> bool:
        """Delete a client with its grants, codes and tokens."""
        return clients.remove(self._tables, client_id)

    async def list_clients(self, query: ClientQuery) -> Page[Client]:
        """A page of clients, newest first."""
        return clients.listed(self._tables, query)

    async def add_initial_access_token(self, token: InitialAccessToken) -> None:
        """Store a new initial access token."""
        self._tables.initial_access_tokens[token.digest] = token

    async def get_initial_access_token(self, token: Digest, now: int) -> InitialAccessToken | None:
        """The initial access token, if it is neither spent nor past its end."""
        return clients.get_initial_access_token(self._tables, token, now)

    async def claim(self, claim: Claim, now: int) -> bool:
        """Claim something that may be used once; False if it was claimed before."""
        return clients.claim(self._tables, claim, now)

    async def add_grant(self, new: NewGrant) -> Literal["added", "client_gone", "interaction_closed"]:
        """Store a consent, and close its interaction in the same transaction."""
        return grants.add(self._tables, new)

    async def add_direct_grant(self, new: DirectGrant) -> Literal["added", "client_gone", "claimed", "stale"]:
        """Store a grant with its access token."""
        return grants.add_direct(self._tables, new)

    async def get_code(self, grant_id: str, code: Digest) -> IssuedCode | None:
        """The code of this grant with this digest, redeemed or not, whatever became of its grant."""
        return grants.get_code(self._tables, grant_id, code)

    async def redeem_code(self, redemption: Redemption) -> Literal["redeemed", "refused"]:
        """Spend a code."""
        return grants.redeem(self._tables, redemption)

    async def get_refreshable(self, grant_id: str) -> RefreshableGrant | None:
        """The grant with its refresh state, also when it has ended."""
        return grants.get_refreshable(self._tables, grant_id)

    async def rotate(self, rotation: Rotation) -> Literal["rotated", "stale"]:
        """Store the next generation."""
        return grants.rotate(self._tables, rotation)

    async def add_access_token(self, new: NewAccessToken) -> Literal["added", "stale"]:
        """Store one more access token."""
        return grants.add_access_token(self._tables, new)

    async def get_access_token(self, grant_id: str, token: Digest, now: int) -> LiveAccessToken | None:
        """The access token, if it, its grant and its client are good at `now`."""
        return grants.get_access_token(self._tables, grant_id, token, now)

    async def revoke_access_token(self, grant_id: str, token: Digest) -> bool:
        """Delete one access token."""
        return grants.revoke_access_token(self._tables, grant_id, token)

    async def take_lease(self, request: LeaseRequest) -> Lease | None:
        """Take the lease of a live grant at this generation."""
        return grants.take_lease(self._tables, request)

    async def renew_lease(self, grant_id: str, lease_id: str, until: int) -> bool:
        """Hold a lease for longer."""
        return grants.renew_lease(self._tables, grant_id, lease_id, until)

    async def release_lease(self, grant_id: str, lease_id: str, *, refused: bool) -> None:
        """Give a lease back."""
        grants.release_lease(self._tables, grant_id, lease_id, refused=refused)

    async def revoke_grant(self, revocation: Revocation) -> bool:
        """End one grant."""
        return grants.revoke(self._tables, revocation)

    async def revoke_user_grants(self, revocation: UserRevocation) -> int:
        """End the grants of a user; the number that had not ended."""
        return grants.revoke_user(self._tables, revocation)

    async def get_grant(self, grant_id: str) -> Grant | None:
        """The grant of exactly this id."""
        row = self._tables.grants.get(grant_id)
        return None if row is None else apart(row.grant)

    async def list_grants(self, query: GrantQuery) -> Page[Grant]:
        """A page of grants, newest first."""
        return grants.list_grants(self._tables, query)

    async def record_use(self, use: Use) -> None:
        """Note that grants and clients were used."""
        grants.record_use(self._tables, use)

    async def add_events(self, events: Sequence[Event]) -> None:
        """Remember events; one whose id is there already stays as it is."""
        event_rows.add(self._tables, events)

    async def list_events(self, query: EventQuery) -> Page[Event]:
        """A page of events, newest first."""
        return event_rows.listed(self._tables, query)

    async def purge(self, purge: Purge) -> PurgeResult:
        """Remove a bounded number of rows that nothing needs any more."""
        return purging.purge(self._tables, purge)

    async def add_user(self, user: User) -> bool:
        """Store a new user; False if the id is taken."""
        return accounts.add_user(self._tables, user)

    async def get_user(self, user_id: str) -> User | None:
        """The user of exactly this id, disabled or not."""
        return self._tables.users.get(user_id)

    async def list_users(self, query: UserQuery) -> Page[User]:
        """A page of users, by id."""
        return accounts.list_users(self._tables, query)

    async def replace_user(self, change: UserChange) -> bool:
        """Store a changed user; False if it moved or is gone."""
        return accounts.replace_user(self._tables, change)

    async def delete_user(self, user_id: str, now: int) -> bool:
        """Delete a user and their sessions, and end their grants."""
        return accounts.remove_user(self._tables, user_id, now)

    async def add_session(self, session: Session) -> None:
        """Store a new browser session."""
        self._tables.sessions[session.digest] = session

    async def get_session(self, session: Digest, now: int) -> Session | None:
        """The session, if it is not past its end and its user, if any, exists and is enabled."""
        return self._tables.live_session(session, now)

    async def sign_in(self, sign_in: SignIn) -> bool:
        """Replace a browser's session at sign-in."""
        return accounts.sign_in(self._tables, sign_in)

    async def end_session(self, session: Digest) -> bool:
        """Delete a session with its interactions."""
        return self._tables.end_session(session)

    async def list_sessions(self, user_id: str, now: int) -> tuple[Session, ...]:
        """The newest sessions of a user that are not past their end, the newest first."""
        return sessions.listed(self._tables, user_id, now)

    async def end_user_session(self, user_id: str, session: Digest) -> bool:
        """Delete a session with its interactions, if it is that user's."""
        return sessions.end_of_user(self._tables, user_id, session)

    async def end_other_sessions(self, user_id: str, kept: Digest) -> int:
        """Delete every session of a user but one, with their interactions; how many."""
        return sessions.end_others(self._tables, user_id, kept)

    async def seal_session(self, session: Digest, sealed: bytes | None, expected: bytes | None) -> bool:
        """Replace what is sealed in a session, if that still is `expected`."""
        return sessions.seal(self._tables, session, sealed, expected)

    async def add_interaction(self, new: NewInteraction) -> bool:
        """Remember an authorization request; False if its session has ended."""
        return accounts.add_interaction(self._tables, new)

    async def get_interaction(self, key: InteractionKey, now: int) -> Interaction | None:
        """The interaction, if it is open, not past its end, and of this session."""
        return accounts.get_interaction(self._tables, key, now)

    async def close_interaction(self, key: InteractionKey, now: int) -> bool:
        """Close an interaction without a grant; False if it was not open."""
        return accounts.close_interaction(self._tables, key, now)

    async def count_attempt(self, attempt: Attempt) -> int:
        """Count a try, and return how many there were in its window, this one included."""
        return accounts.count_attempt(self._tables, attempt)

    async def count_attempts(self, key: Digest, now: int) -> int:
        """How many tries were counted in the window that is running at `now`."""
        return accounts.count_attempts(self._tables, key, now)

    async def clear_attempts(self, key: Digest) -> None:
        """Forget the tries under a key."""
        self._tables.throttles.pop(key, None)
