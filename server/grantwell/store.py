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

from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from .records import (
    AccessToken,
    Client,
    Code,
    Digest,
    Grant,
    Interaction,
    RefreshState,
    RefreshToken,
    RetiredToken,
    RevocationReason,
    SealedProps,
    Session,
    User,
)

T = TypeVar("T")

MAX_LIVE_ACCESS_TOKENS = 20
MAX_GRANTS_OF_SHARED_CLIENT = 20
MAX_OPEN_INTERACTIONS = 20


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing. `cursor` asks for the next one; None means that this was the last."""

    items: tuple[T, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientQuery:
    """Which clients to list: newest first, `limit` (1 to 1,000) a page, `cursor` from the page before."""

    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantQuery:
    """Which grants to list: newest first, at `now`. A filter that is None does not filter.

    `state`: *active* (exchanged and alive), *pending* (code not yet exchanged), *ended* (revoked or past its end);
    None lists active and pending ones.
    """

    now: int
    user_id: str | None = None
    client_id: str | None = None
    state: Literal["active", "pending", "ended"] | None = None
    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuery:
    """Which users to list: by user id, `limit` (1 to 1,000) a page, `cursor` from the page before."""

    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionKey:
    """The interaction that a grant answers, and the browser it belongs to."""

    digest: Digest
    session: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """A consent: the pending grant, its code and its first props version, and the interaction it closes, if any.

    The interaction must be open, of that session, and the session signed in as an enabled user equal to the grant's.
    """

    grant: Grant
    code: Code
    props: SealedProps
    interaction: InteractionKey | None
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCode:
    """A code as it was issued or redeemed, with its grant, the generation and the props it opens (None once erased)."""

    grant: Grant
    code: Code
    generation: int
    props: SealedProps | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """The exchange of a code: spend it and issue tokens, if it is unspent, unexpired and its grant is live.

    `refresh` is None when no refresh token is issued. `new_props` are versions to add. `replaces`: end the grants of
    the same user, client, redirect URI and resources that were created before this one. `keep_newest`: beyond that
    many exchanged grants of this user and client, the least recently used end (None: no bound). The wrapped key of
    the code is erased, and props versions that nothing names any more go.
    """

    grant_id: str
    code: Digest
    now: int
    expires_at: int | None
    family: Digest | None
    refresh: RefreshToken | None
    access: AccessToken
    new_props: tuple[SealedProps, ...]
    replaces: bool
    keep_newest: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshableGrant:
    """A grant with its refresh tokens and the props versions that they name."""

    grant: Grant
    refresh: RefreshState
    props: tuple[SealedProps, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A refresh: the next generation of a grant, if it still is at `generation`, not revoked and not past its end.

    `current`, `previous`, `seal`, `seal_until` and `retired` replace what the grant had. `new_props` are added, the
    access token is added, the lease is cleared, and props versions that nothing names any more go. Of more than
    MAX_LIVE_ACCESS_TOKENS live access tokens the oldest go.
    """

    grant_id: str
    generation: int
    now: int
    expires_at: int | None
    current: RefreshToken
    previous: RefreshToken
    seal: bytes
    seal_until: int
    retired: tuple[RetiredToken, ...]
    access: AccessToken
    new_props: tuple[SealedProps, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccessToken:
    """One more access token of a live grant that is still at `generation`; a given `parent` must be live too."""

    grant_id: str
    generation: int
    access: AccessToken
    parent: Digest | None
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAccessToken:
    """An access token that is good now: neither it nor its grant nor its client was ended."""

    grant: Grant
    generation: int
    token: AccessToken
    props: SealedProps
    client_last_used_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """The wish to be the one who runs the callback for a generation of a grant, until the instant `until`."""

    grant_id: str
    generation: int
    lease_id: str
    now: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease that was had. `lapsed`: an earlier holder of this generation vanished without giving its lease back.

    `refused`: after such a lapse the callback already answered `invalid_grant` once.
    """

    lapsed: bool
    refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """The end of one grant; with `user_id` or `client_id` only if it is theirs."""

    grant_id: str
    now: int
    reason: RevocationReason
    user_id: str | None = None
    client_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRevocation:
    """The end of every grant of a user that was created up to now, or of those with one client."""

    user_id: str
    now: int
    reason: RevocationReason
    client_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Grants and clients that were used at `now`. Writes the later of the stored and the given instant."""

    grant_ids: tuple[str, ...]
    client_ids: tuple[str, ...]
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """One bounded step of housekeeping: remove at most `limit` rows of each kind.

    What goes: access tokens, grants, sessions, interactions and throttles that ended at or before `ended_before`;
    seals whose window ended at or before `now`; self-registered clients (`origin` "registration") without live
    grants whose last use was at or before `unused_since`, or that were never used and registered at or before
    `never_used_since` (None: clients stay).
    """

    now: int
    ended_before: int
    unused_since: int | None
    never_used_since: int | None
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeResult:
    """How many rows a step removed, by kind; `done` when no kind reached the limit."""

    clients: int
    grants: int
    access_tokens: int
    seals: int
    sessions: int
    interactions: int
    throttles: int
    done: bool


class Store(Protocol):
    """Clients, grants, codes and tokens."""

    async def open(self) -> None:
        """Make ready to serve. Raises SchemaError with the command to run, or StoreUnavailable."""

    async def close(self) -> None:
        """Give back every connection, thread and file. A closed store may be opened again."""

    async def add_client(self, client: Client) -> None:
        """Store a new client."""

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

    async def add_grant(self, new: NewGrant) -> Literal["added", "client_gone", "interaction_closed"]:
        """Store a consent, and close its interaction in the same transaction."""

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
        """Delete one access token; False if there was none."""

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

    async def purge(self, purge: Purge) -> PurgeResult:
        """Remove a bounded number of rows that nothing needs any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """A changed user, stored if the stored version is `user.version - 1`.

    `revokes`: end the grants, codes and sessions of the user, for this reason, in the same transaction.
    """

    user: User
    revokes: RevocationReason | None
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A user signed in on a browser: the session `replaced` ends, its open interactions move to `session`."""

    session: Session
    replaced: Digest
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInteraction:
    """An authorization request to remember; of more than MAX_OPEN_INTERACTIONS of its session the oldest go."""

    interaction: Interaction
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at something that is throttled under `key`; counting starts anew `window` seconds after the first."""

    key: Digest
    window: int
    now: int


class AccountStore(Protocol):
    """Users, browser sessions, authorization requests that wait for their user, and throttles."""

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

    async def add_interaction(self, new: NewInteraction) -> bool:
        """Remember an authorization request; False if its session has ended."""

    async def get_interaction(self, key: InteractionKey, now: int) -> Interaction | None:
        """The interaction, if it is open, not past its end, and of this session."""

    async def close_interaction(self, key: InteractionKey, now: int) -> bool:
        """Close an interaction without a grant; False if it was not open."""

    async def count_attempt(self, attempt: Attempt) -> int:
        """Count a try, and return how many there were in its window, this one included."""

    async def count_attempts(self, key: Digest, now: int) -> int:
        """How many tries were counted in the window that is running at `now`."""

    async def clear_attempts(self, key: Digest) -> None:
        """Forget the tries under a key."""
