"""Browser sessions: a random cookie, of which the database has a keyed digest (RFC 6265bis)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import replace

from ..crypto import Keyring, MacField, Unsealable
from ..records import Session, User
from ..store import AccountStore, SignIn

SIGNED_IN_SECONDS = 12 * 3600
# Twice the life of an authorization request, so that one can begin on it at any time of its first half.
ANONYMOUS_SECONDS = 20 * 60

_COOKIE_BYTES = 32
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_\-]{43}")
_MAX_USER_AGENT_CHARACTERS = 256


class Sessions:
    """The sessions of one server. `secure` is false only for a server on plain http, on this machine."""

    def __init__(self, store: AccountStore, keyring: Keyring, *, secure: bool) -> None:
        self._store = store
        self._keyring = keyring
        # The prefix makes browsers insist on Secure, Path=/ and no Domain, so that no sibling host can set it.
        self._name = "__Host-grantwell" if secure else "grantwell-dev"
        self._attributes = "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")

    async def find(self, cookie_headers: Iterable[str], now: int) -> Session | None:
        """The live session whose cookie a browser sent, if this deployment began it as it stands."""
        cookie = self._sent(cookie_headers)
        if cookie is None:
            return None
        for digest in self._keyring.cookie_digests(cookie):
            session = await self._store.get_session(digest, now)
            if session is not None:
                return session if self._is_genuine(session) else None
        return None

    async def begin(self, now: int) -> tuple[Session, str]:
        """A new session in which nobody has signed in yet, and the Set-Cookie that gives it to the browser."""
        session, cookie = self._new(None, now, ANONYMOUS_SECONDS)
        await self._store.add_session(session)
        return session, cookie

    async def sign_in(
        self,
        replaced: Session,
        user: User,
        now: int,
        *,
        user_agent: str | None = None,
        address: str | None = None,
        secret: bytes | None = None,
    ) -> tuple[Session, str] | None:
        """A new session for the user, and its Set-Cookie; the old id is dead. None if the user may not sign in.

        `user_agent` and `address` are those of the request, `secret` what only this browser can have opened again.
        """
        agent = readable_user_agent(user_agent)
        session, cookie = self._new(user.user_id, now, SIGNED_IN_SECONDS, agent, address, secret)
        signed_in = await self._store.sign_in(SignIn(session=session, replaced=replaced.digest, now=now))
        return (session, cookie) if signed_in else None

    async def end(self, session: Session) -> str:
        """End a session with its open requests; returns the Set-Cookie that takes it from the browser."""
        await self._store.end_session(session.digest)
        return f"{self._name}=; Max-Age=0; {self._attributes}"

    async def of_user(self, user_id: str, now: int) -> list[Session]:
        """The newest sessions of a user that this deployment began as they stand, the newest first."""
        return [s for s in await self._store.list_sessions(user_id, now) if self._is_genuine(s)]

    async def end_of_user(self, user_id: str, session: Session) -> bool:
        """End a session if it is this user's; False if it has ended."""
        return await self._store.end_user_session(user_id, session.digest)

    async def end_others(self, user_id: str, kept: Session) -> int:
        """End every session of a user but one; how many."""
        return await self._store.end_other_sessions(user_id, kept.digest)

    def secret_of(self, session: Session, cookie_headers: Iterable[str]) -> bytes | None:
        """What was sealed in the session of this browser; None if there is nothing, or it does not open."""
        cookie = self._sent(cookie_headers)
        if cookie is None or session.sealed is None:
            return None
        try:
            return self._keyring.open_for_cookie(cookie, session.sealed)
        except Unsealable:
            return None

    async def keep_secret(self, session: Session, cookie_headers: Iterable[str], secret: bytes | None) -> bool:
        """Seal something else in the session of this browser; False if it changed since it was read, or has ended."""
        cookie = self._sent(cookie_headers)
        if cookie is None or session.digest not in self._keyring.cookie_digests(cookie):
            return False
        sealed = None if secret is None else self._keyring.seal_for_cookie(cookie, secret)
        return await self._store.seal_session(session.digest, sealed, session.sealed)

    def _is_genuine(self, session: Session) -> bool:
        return self._keyring.row_mac_fits("session", _row_fields(session), session.mac)

    def _sent(self, cookie_headers: Iterable[str]) -> str | None:
        """The value of our cookie; None where it was sent twice, for one of the two was planted."""
        pairs = [pair.strip(" \t").partition("=") for header in cookie_headers for pair in header.split(";")]
        values = [value for name, _, value in pairs if name == self._name]
        return values[0] if len(values) == 1 and _COOKIE_VALUE.fullmatch(values[0]) else None

    def _new(
        self,
        user_id: str | None,
        now: int,
        ttl: int,
        user_agent: str | None = None,
        address: str | None = None,
        secret: bytes | None = None,
    ) -> tuple[Session, str]:
        cookie = secrets.token_urlsafe(_COOKIE_BYTES)
        session = Session(
            digest=self._keyring.cookie_digests(cookie)[0],
            user_id=user_id,
            created_at=now,
            expires_at=now + ttl,
            mac=b"",
            user_agent=user_agent,
            address=address,
            sealed=None if secret is None else self._keyring.seal_for_cookie(cookie, secret),
        )
        session = replace(session, mac=self._keyring.row_mac("session", _row_fields(session)))
        # Without Max-Age, so that it goes when the browser is closed; the database knows when it ends.
        return session, f"{self._name}={cookie}; {self._attributes}"


def readable_user_agent(header: str | None) -> str | None:
    """A `User-Agent` header as it may be stored and shown: printable, and not too long; None where there is none."""
    if header is None:
        return None
    return "".join(filter(str.isprintable, header))[:_MAX_USER_AGENT_CHARACTERS] or None


def _row_fields(session: Session) -> list[MacField]:
    fields: list[MacField] = [session.digest, session.user_id, session.created_at, session.expires_at]
    if session.user_agent is None and session.address is None:
        # As before there were these two, so that rows of that time stay genuine.
        return fields
    return [*fields, session.user_agent, session.address]
