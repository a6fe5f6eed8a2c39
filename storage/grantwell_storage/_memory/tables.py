"""What the memory store holds, and the rules that several transitions share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from grantwell.records import (
    AccessToken,
    Client,
    Code,
    Digest,
    Event,
    Grant,
    InitialAccessToken,
    Interaction,
    RefreshState,
    RevocationReason,
    SealedProps,
    Session,
    User,
)
from grantwell.store import MAX_LIVE_ACCESS_TOKENS, Page

from ..paging import check_limit, cursor_after

R = TypeVar("R")

NO_REFRESH = RefreshState(
    generation=0, family=None, current=None, previous=None, seal=None, seal_until=None, retired=()
)


@dataclass(slots=True)
class GrantRow:
    """A grant with everything that belongs to it. Access tokens stand in the order in which they were issued."""

    grant: Grant
    code: Code | None
    serial: int
    props: dict[int, SealedProps]
    refresh: RefreshState = NO_REFRESH
    tokens: dict[Digest, AccessToken] = field(default_factory=dict)
    lease_id: str | None = None
    lease_until: int = 0
    lapses: int = 0
    refusals: int = 0

    def is_alive(self, now: int) -> bool:
        """Whether the grant is neither revoked nor past its end."""
        return self.grant.revoked_at is None and (self.grant.expires_at is None or now < self.grant.expires_at)

    def drop_lease(self) -> None:
        """Forget the lease and its history: another generation begins."""
        self.lease_id, self.lease_until, self.lapses, self.refusals = None, 0, 0, 0

    def used_at(self, now: int) -> int:
        """The later of the last use and `now`."""
        return max(now, self.grant.last_used_at or now)

    def end(self, now: int, reason: RevocationReason) -> bool:
        """Revoke the grant and erase what could open or continue it; whether it was alive."""
        if self.grant.revoked_at is not None:
            return False
        was_alive = self.is_alive(now)
        self.grant = replace(self.grant, revoked_at=now, revoked_reason=reason)
        self.refresh = replace(NO_REFRESH, generation=self.refresh.generation + 1)
        self.code = None if self.code is None else replace(self.code, wrapped_key=b"")
        self.tokens.clear()
        self.props.clear()
        self.drop_lease()
        return was_alive

    def issue(self, token: AccessToken, new_props: Iterable[SealedProps], now: int) -> None:
        """Add an access token and props versions, and remove what they push out."""
        self.props |= {version.version: version for version in new_props}
        self.tokens[token.digest] = token
        live = [issued for issued in self.tokens.values() if now < issued.expires_at]
        self.tokens = {issued.digest: issued for issued in live[-MAX_LIVE_ACCESS_TOKENS:]}
        self.forget_props()

    def forget_props(self) -> None:
        """Delete the props versions that no code, refresh token or access token names."""
        named = {token.props_version for token in self.tokens.values()}
        named |= {slot.props_version for slot in (self.refresh.current, self.refresh.previous) if slot is not None}
        if self.code is not None and self.code.redeemed_at is None:
            named.add(self.code.props_version)
        self.props = {version: props for version, props in self.props.items() if version in named}


@dataclass(slots=True)
class InteractionRow:
    """An interaction; they stand in the order in which they were added."""

    interaction: Interaction

    def is_open(self, now: int) -> bool:
        """Whether it is neither closed nor past its end."""
        return self.interaction.closed_at is None and now < self.interaction.expires_at


@dataclass(slots=True)
class Throttle:
    """The tries of one window."""

    attempts: int
    ends_at: int


@dataclass(slots=True)
class Tables:
    """Everything. No function that changes it awaits, so that each is one transaction."""

    clients: dict[str, Client] = field(default_factory=dict)
    initial_access_tokens: dict[Digest, InitialAccessToken] = field(default_factory=dict)
    claims: dict[Digest, int] = field(default_factory=dict)
    grants: dict[str, GrantRow] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    sessions: dict[Digest, Session] = field(default_factory=dict)
    interactions: dict[Digest, InteractionRow] = field(default_factory=dict)
    throttles: dict[Digest, Throttle] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)

    def enabled(self, user_id: str | None) -> bool:
        """Whether there is an enabled user of this id."""
        user = None if user_id is None else self.users.get(user_id)
        return user is not None and user.disabled_at is None

    def live_session(self, digest: Digest, now: int) -> Session | None:
        """The session, if it is not past its end and its user, if any, exists and is enabled."""
        session = self.sessions.get(digest)
        if session is None or now >= session.expires_at:
            return None
        return session if session.user_id is None or self.enabled(session.user_id) else None

    def end_session(self, session: Digest) -> bool:
        """Delete a session with its interactions; False if there is none."""
        for key, row in list(self.interactions.items()):
            if row.interaction.session == session:
                del self.interactions[key]
        return self.sessions.pop(session, None) is not None

    def end_user(self, user_id: str, now: int, reason: RevocationReason) -> None:
        """Delete the sessions of a user and end their grants."""
        for session in [session for session in self.sessions.values() if session.user_id == user_id]:
            self.end_session(session.digest)
        for row in self.grants.values():
            if row.grant.user_id == user_id:
                row.end(now, reason)


def apart(record: R) -> R:
    """A copy that shares nothing that could be changed."""
    return copy.deepcopy(record)


def paged(items: Iterable[R], key: Callable[[R], tuple[int | str, ...]], limit: int, *, falling: bool) -> Page[R]:
    """The first page of some items, sorted by a key."""
    check_limit(limit)
    ordered = sorted(items, key=key, reverse=falling)
    shown = ordered[:limit]
    cursor = cursor_after(*key(shown[-1])) if len(ordered) > limit else None
    return Page(items=tuple(apart(item) for item in shown), cursor=cursor)
