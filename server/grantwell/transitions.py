"""The transitions that cross the storage port, each prepared in full before it is applied, and what is read back.

Instants are seconds since 1970 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

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
MAX_LISTED_SESSIONS = 100


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
    None lists active and pending ones. `created_before`: made before that instant. `unused_since`: last used, or made
    if it was never used, at that instant or before.
    """

    now: int
    user_id: str | None = None
    client_id: str | None = None
    state: Literal["active", "pending", "ended"] | None = None
    limit: int = 100
    cursor: str | None = None
    created_before: int | None = None
    unused_since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events to list: newest first. A filter that is None does not filter; `since` is the earliest instant."""

    user_id: str | None = None
    client_id: str | None = None
    grant_id: str | None = None
    name: str | None = None
    reference: str | None = None
    since: int | None = None
    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuery:
    """Which users to list: by user id, `limit` (1 to 1,000) a page, `cursor` from the page before."""

    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A client that registers itself, if the quota of its address allows and its initial access token is unspent.

    Of clients with the same `registered_from` that were created after `since` and never used there may be at most
    `most_unused`, this one included (None: no quota). `initial_access` is spent with it (None: none is needed).
    """

    client: Client
    most_unused: int | None
    since: int
    initial_access: Digest | None
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Something that may be used once, such as an assertion; it is remembered until `expires_at`."""

    key: Digest
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentToken:
    """An access token of another grant, which must be live when something is issued for it."""

    grant_id: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionKey:
    """The interaction that a grant answers, and the browser it belongs to."""

    digest: Digest
    session: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """A consent: the pending grant, its code and its first props version, and the interaction it closes, if any.

    The interaction must be open, of that session, and the session signed in as an enabled user equal to the grant's.
    `document` is the snapshot of the client's metadata document, stored in the same transaction: as a new client, or
    over the one whose version is `document.version - 1`; where the stored one has moved on, it stays.
    """

    grant: Grant
    code: Code
    props: SealedProps
    interaction: InteractionKey | None
    now: int
    document: Client | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectGrant:
    """A grant that begins with an access token and has no code and no refresh token, because nobody was asked.

    It is stored as exchanged and last used at `now`, at generation 1. `claim` is what it was issued for and may be
    used once, `parent` a token that must still be live. `keep_newest`: beyond that many exchanged grants of this user
    and client, the least recently used end (None: no bound).
    """

    grant: Grant
    access: AccessToken
    props: SealedProps
    claim: Claim | None
    parent: ParentToken | None
    keep_newest: int | None
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
    """The end of every grant that a user has at that moment, or of those with one client."""

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

    What goes: access tokens, grants, sessions, interactions, throttles, claims and initial access tokens that ended at
    or before `ended_before`; seals whose window ended at or before `now`; clients that no operator made (`origin`
    "registration" or "document") without live grants whose last use was at or before `unused_since`, or that were
    never used and created at or before `never_used_since` (None: clients stay); events that happened at or before
    `events_before` (None: they stay).
    """

    now: int
    ended_before: int
    unused_since: int | None
    never_used_since: int | None
    limit: int
    events_before: int | None = None


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
    claims: int
    initial_access_tokens: int
    events: int
    done: bool

    @property
    def removed(self) -> int:
        """How many rows were removed in all."""
        return sum(getattr(self, kind) for kind in self.__slots__ if kind != "done")


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
