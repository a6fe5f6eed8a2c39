"""The two ports to the database: `Store` for what OAuth needs, `AccountStore` for people who sign in.

Each method takes one prepared, frozen transition, applies it in one transaction that one conditional statement
decides, and returns the outcome; none hands out a transaction, none reads a clock, none sees a raw secret.

What an implementer owes, and `grantwell.testing.StoreContract` checks:

- *All or nothing.* A method either made every change of its transition or none. Once it has returned, the change
  survives a crash. A cancelled call runs to its end all the same.
- *One winner.* Of transitions that exclude each other, in any number of processes, exactly one is told that it won.
- *Ended is ended.* Whatever revokes or deletes a grant, a client or a user also erases the access tokens, the props
  and every wrapped key (emptied to `b""`) of the grants it ends, clears lease, seal and refresh tokens, and adds one
  to the generation, so that a transition prepared before cannot bring the grant back.
- *Time is an argument.* A row is dead when `now >= expires_at`. Instants are seconds since 1970 UTC.
- *Trouble is `StoreUnavailable`.* A lock that is not had in time, a full disk, a lost connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from .records import Client, Digest, Event, Grant, InitialAccessToken, Interaction, Session, User
from .transitions import (
    MAX_GRANTS_OF_SHARED_CLIENT,
    MAX_LISTED_SESSIONS,
    MAX_LIVE_ACCESS_TOKENS,
    MAX_OPEN_INTERACTIONS,
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
    ParentToken,
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

__all__ = [
    "MAX_GRANTS_OF_SHARED_CLIENT",
    "MAX_LISTED_SESSIONS",
    "MAX_LIVE_ACCESS_TOKENS",
    "MAX_OPEN_INTERACTIONS",
    "AccountStore",
    "Attempt",
    "Claim",
    "ClientQuery",
    "DirectGrant",
    "EventQuery",
    "GrantQuery",
    "InteractionKey",
    "IssuedCode",
    "Lease",
    "LeaseRequest",
    "LiveAccessToken",
    "NewAccessToken",
    "NewGrant",
    "NewInteraction",
    "Page",
    "ParentToken",
    "Purge",
    "PurgeResult",
    "Redemption",
    "RefreshableGrant",
    "Registration",
    "Revocation",
    "Rotation",
    "SignIn",
    "Store",
    "ThrottleStore",
    "Use",
    "UserChange",
    "UserQuery",
    "UserRevocation",
]


class ThrottleStore(Protocol):
    """Tries that are counted in windows, shared by all processes."""

    async def count_attempt(self, attempt: Attempt) -> int:
        """Count a try, and return how many there were in its window, this one included."""

    async def count_attempts(self, key: Digest, now: int) -> int:
        """How many tries were counted in the window that is running at `now`."""

    async def clear_attempts(self, key: Digest) -> None:
        """Forget the tries under a key."""


class Store(ThrottleStore, Protocol):
    """Clients, grants, codes and tokens."""

    async def open(self) -> None:
        """Make ready to serve. Raises SchemaError with the command to run, or StoreUnavailable."""

    async def close(self) -> None:
        """Give back every connection, thread and file. A closed store may be opened again."""

    async def add_client(self, client: Client) -> None:
        """Store a new client."""

    async def register_client(self, registration: Registration) -> Literal["registered", "too_many", "spent"]:
        """Store a client that registers itself. "spent": its initial access token is unknown, spent or past its end."""

    async def get_client(self, client_id: str) -> Client | None:
        """The client of exactly this id."""

    async def replace_client(self, client: Client) -> bool:
        """Store a changed client if the stored version is `client.version - 1`; False if it moved or is gone.

        `last_used_at` is not replaced: it belongs to `record_use`.
        """

    async def delete_client(self, client_id: str) -> bool:
        """Delete a client with its grants, codes and tokens; False if there is none."""

    async def list_clients(self, query: ClientQuery) -> Page[Client]:
        """A page of clients, newest first."""

    async def add_initial_access_token(self, token: InitialAccessToken) -> None:
        """Store a new initial access token."""

    async def get_initial_access_token(self, token: Digest, now: int) -> InitialAccessToken | None:
        """The initial access token, if it is neither spent nor past its end."""

    async def claim(self, claim: Claim, now: int) -> bool:
        """Claim something that may be used once; False if it was claimed before and the claim is not past its end."""

    async def add_grant(self, new: NewGrant) -> Literal["added", "client_gone", "interaction_closed"]:
        """Store a consent, and close its interaction in the same transaction."""

    async def add_direct_grant(self, new: DirectGrant) -> Literal["added", "client_gone", "claimed", "stale"]:
        """Store a grant with its access token. "claimed": its claim was made before; "stale": its parent has ended."""

    async def get_code(self, grant_id: str, code: Digest) -> IssuedCode | None:
        """The code of this grant with this digest, redeemed or not, whatever became of its grant."""

    async def redeem_code(self, redemption: Redemption) -> Literal["redeemed", "refused"]:
        """Spend a code. "refused": it was spent, is past its end, or its grant has ended."""

    async def get_refreshable(self, grant_id: str) -> RefreshableGrant | None:
        """The grant with its refresh state, also when it has ended."""

    async def rotate(self, rotation: Rotation) -> Literal["rotated", "stale"]:
        """Store the next generation. "stale": the grant moved on or ended."""

    async def add_access_token(self, new: NewAccessToken) -> Literal["added", "stale"]:
        """Store one more access token; the same bound on their number as in `rotate`."""

    async def get_access_token(self, grant_id: str, token: Digest, now: int) -> LiveAccessToken | None:
        """The access token, if it, its grant and its client are good at `now`: one indexed read."""

    async def revoke_access_token(self, grant_id: str, token: Digest) -> bool:
        """Delete one access token; False if there was none. Its props stay until the next rotation, for the seal."""

    async def take_lease(self, request: LeaseRequest) -> Lease | None:
        """Take the lease of a live grant at this generation; None if somebody holds it, or the grant moved or ended."""

    async def renew_lease(self, grant_id: str, lease_id: str, until: int) -> bool:
        """Hold a lease for longer; False if it is no longer ours."""

    async def release_lease(self, grant_id: str, lease_id: str, *, refused: bool) -> None:
        """Give a lease back. `refused` notes that the callback answered `invalid_grant` after a lapse."""

    async def revoke_grant(self, revocation: Revocation) -> bool:
        """End one grant; False if it is unknown, not theirs, or had ended."""

    async def revoke_user_grants(self, revocation: UserRevocation) -> int:
        """End the grants of a user; the number that had not ended."""

    async def get_grant(self, grant_id: str) -> Grant | None:
        """The grant of exactly this id."""

    async def list_grants(self, query: GrantQuery) -> Page[Grant]:
        """A page of grants, newest first."""

    async def record_use(self, use: Use) -> None:
        """Note that grants and clients were used."""

    async def add_events(self, events: Sequence[Event]) -> None:
        """Remember events; one whose id is there already stays as it is, so that a batch may be sent again."""

    async def list_events(self, query: EventQuery) -> Page[Event]:
        """A page of events, newest first."""

    async def purge(self, purge: Purge) -> PurgeResult:
        """Remove a bounded number of rows that nothing needs any more."""


class AccountStore(ThrottleStore, Protocol):
    """Users, browser sessions, and authorization requests that wait for their user."""

    async def add_user(self, user: User) -> bool:
        """Store a new user; False if the id is taken."""

    async def get_user(self, user_id: str) -> User | None:
        """The user of exactly this id, disabled or not."""

    async def list_users(self, query: UserQuery) -> Page[User]:
        """A page of users, by id."""

    async def replace_user(self, change: UserChange) -> bool:
        """Store a changed user; False if it moved or is gone."""

    async def delete_user(self, user_id: str, now: int) -> bool:
        """Delete a user and their sessions, and end their grants (reason "user_deleted"); False if there is none."""

    async def add_session(self, session: Session) -> None:
        """Store a new browser session."""

    async def get_session(self, session: Digest, now: int) -> Session | None:
        """The session, if it is not past its end and its user, if any, exists and is enabled."""

    async def sign_in(self, sign_in: SignIn) -> bool:
        """Replace a browser's session at sign-in; False if the old one has ended or the user is not enabled."""

    async def end_session(self, session: Digest) -> bool:
        """Delete a session with its interactions; False if there is none."""

    async def list_sessions(self, user_id: str, now: int) -> tuple[Session, ...]:
        """The newest MAX_LISTED_SESSIONS sessions of a user that are not past their end, the newest first."""

    async def end_user_session(self, user_id: str, session: Digest) -> bool:
        """The same as `end_session`, if the session is that user's."""

    async def end_other_sessions(self, user_id: str, kept: Digest) -> int:
        """Delete every session of a user but one, with their interactions; how many."""

    async def seal_session(self, session: Digest, sealed: bytes | None, expected: bytes | None) -> bool:
        """Replace what is sealed in a session, if that still is `expected`; False if it moved or the session ended."""

    async def add_interaction(self, new: NewInteraction) -> bool:
        """Remember an authorization request; False if its session has ended."""

    async def get_interaction(self, key: InteractionKey, now: int) -> Interaction | None:
        """The interaction, if it is open, not past its end, and of this session."""

    async def close_interaction(self, key: InteractionKey, now: int) -> bool:
        """Close an interaction without a grant; False if it was not open."""
