"""The people who can sign in: a row is believed only if this deployment wrote it, and passwords are argon2id."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace

from .. import OAuthHelpers
from ..config import Clock
from ..crypto import MAX_PASSWORD_BYTES, Keyring, MacField, PasswordHasher
from ..errors import StoreUnavailable
from ..records import RevocationReason, User
from ..store import AccountStore, Page, UserChange, UserQuery

MIN_PASSWORD_CHARACTERS = 8

_USER_ID = re.compile(r"[a-z0-9][a-z0-9._@+\-]{0,127}")
# Of somebody who signs in elsewhere: the colon, which no other id has, keeps the two apart.
_UPSTREAM_USER_ID = re.compile(r"[a-z0-9\-]{1,32}:[A-Za-z0-9._@+|%~\-]{1,100}")
_MAX_TRIES = 8


class Accounts:
    """Users and their passwords, for the pages and for the command line; all raise StoreUnavailable.

    A user's id is the name they sign in with, in lower case, and the `user_id` of the grants they give. A row that
    was written or altered by somebody without the deployment key is treated as absent; `delete` removes it. What is
    changed is told to `oauth`.
    """

    def __init__(
        self,
        store: AccountStore,
        keyring: Keyring,
        hasher: PasswordHasher | None = None,
        *,
        clock: Clock = time.time,
        oauth: OAuthHelpers | None = None,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._hasher = hasher or PasswordHasher()
        self._clock = clock
        self._oauth = oauth

    def acting_as(self, actor: str, *, address: str | None = None) -> Accounts:
        """The same, of which the events say who did it ("user:alice", "operator"), and from where."""
        oauth = None if self._oauth is None else self._oauth.acting_as(actor, address=address)
        return Accounts(self._store, self._keyring, self._hasher, clock=self._clock, oauth=oauth)

    async def add(self, user_id: str, password: str, *, is_admin: bool = False) -> User:
        """Add a user. Raises ValueError for an id that is taken or cannot be one, and for a password that cannot."""
        checked = checked_user_id(user_id)
        password_hash = await self._hasher.hash(_checked_password(password))
        user = await self._added(checked, password_hash=password_hash, is_admin=is_admin, name=None)
        if user is None:
            raise ValueError(f"there is a user {checked} already")
        return user

    async def get(self, user_id: str) -> User | None:
        """The user of this id, disabled or not."""
        try:
            user = await self._store.get_user(_known_user_id(user_id))
        except ValueError:
            return None
        return user if user is not None and self._is_genuine(user) else None

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[User]:
        """A page of users, by id. Raises ValueError for a limit outside 1 to 1,000 or a foreign cursor."""
        page = await self._store.list_users(UserQuery(limit=limit, cursor=cursor))
        return Page(tuple(user for user in page.items if self._is_genuine(user)), page.cursor)

    async def set_password(self, user_id: str, password: str) -> User:
        """Change a password; the user's grants and sessions end. Raises LookupError, ValueError."""
        if _UPSTREAM_USER_ID.fullmatch(user_id):
            raise ValueError(f"{user_id} signs in elsewhere, and has no password here")
        password_hash = await self._hasher.hash(_checked_password(password))
        user = await self._change(user_id, lambda user: replace(user, password_hash=password_hash), "password_changed")
        await self._tell("password_changed", user)
        return user

    async def change_password(self, user_id: str, current: str, new: str) -> User | None:
        """Change the password of an enabled user who knows it; their grants and sessions end.

        None, and nothing changed, if `current` is not their password. Like `authenticate`, it does not count tries.
        Raises ValueError for a new password that cannot be one.
        """
        checked = _checked_password(new)
        user = await self.authenticate(user_id, current)
        if user is None:
            return None
        password_hash = await self._hasher.hash(checked)
        changed = self._sealed(replace(user, password_hash=password_hash, version=user.version + 1))
        # Where somebody else changed the user meanwhile, `current` may be their password no more.
        stored = await self._store.replace_user(UserChange(user=changed, revokes="password_changed", now=self._now()))
        if not stored:
            return None
        await self._tell("password_changed", changed)
        return changed

    async def enable(self, user_id: str) -> User:
        """Let a user sign in again. Raises LookupError."""
        user = await self._change(user_id, lambda user: replace(user, disabled_at=None), None)
        await self._tell("user_enabled", user)
        return user

    async def disable(self, user_id: str) -> User:
        """Keep a user out, at once: their grants and sessions end. Raises LookupError."""
        now = self._now()
        user = await self._change(
            user_id,
            lambda user: replace(user, disabled_at=now if user.disabled_at is None else user.disabled_at),
            "user_disabled",
        )
        await self._tell("user_disabled", user)
        return user

    async def set_admin(self, user_id: str, is_admin: bool) -> User:
        """Make a user an administrator, or one no more. Raises LookupError."""
        user = await self._change(user_id, lambda user: replace(user, is_admin=is_admin), None)
        await self._tell("admin_changed", user, is_admin=is_admin)
        return user

    async def delete(self, user_id: str) -> bool:
        """Delete a user; their grants and sessions end. False if there is none."""
        try:
            known = _known_user_id(user_id)
        except ValueError:
            return False
        deleted = await self._store.delete_user(known, self._now())
        if deleted and self._oauth is not None:
            await self._oauth.tell("user_deleted", user_id=known)
        return deleted

    async def authenticate(self, user_id: str, password: str) -> User | None:
        """The enabled user with this name and password. It takes as long when there is none.

        It does not count tries: whoever calls it with what a stranger typed must. Raises StoreUnavailable too while
        many passwords are being checked.
        """
        user = await self.get(user_id)
        normal = _normal(password)
        fits = await self._hasher.fits(normal, None if user is None else user.password_hash)
        if user is None or not fits or user.disabled_at is not None:
            return None
        if self._hasher.is_outdated(user.password_hash):
            return await self._hashed_anew(user, normal)
        return user

    async def sign_in_upstream(self, user_id: str, *, name: str | None) -> User | None:
        """The enabled user of this id, whom an upstream has just signed in; they come to be at their first sign-in.

        `user_id` is as `user_id_of` makes it, `name` what to call them from now on. None if they are disabled or are
        being deleted, or if the row in the database is not genuine. Raises ValueError for an id that is none of an
        upstream.
        """
        if not _UPSTREAM_USER_ID.fullmatch(user_id):
            raise ValueError(f"{user_id} is not the id of somebody who signs in elsewhere")
        user = await self.get(user_id)
        if user is None:
            user = await self._added(user_id, password_hash="", is_admin=False, name=name)
        if user is None:
            # Somebody was faster; or there is a row that this deployment did not write.
            user = await self.get(user_id)
        if user is None or user.disabled_at is not None:
            return None
        if user.name == name:
            return user
        try:
            return await self._change(user_id, lambda user: replace(user, name=name), None)
        except LookupError:  # deleted meanwhile
            return None

    async def _added(self, user_id: str, *, password_hash: str, is_admin: bool, name: str | None) -> User | None:
        user = User(
            user_id=user_id,
            password_hash=password_hash,
            is_admin=is_admin,
            created_at=self._now(),
            disabled_at=None,
            version=1,
            mac=b"",
            name=name,
        )
        sealed = self._sealed(user)
        if not await self._store.add_user(sealed):
            return None
        await self._tell("user_added", sealed, is_admin=is_admin)
        return sealed

    async def _hashed_anew(self, user: User, password: str) -> User:
        try:
            password_hash = await self._hasher.hash(password)
        except StoreUnavailable:
            return user
        changed = self._sealed(replace(user, password_hash=password_hash, version=user.version + 1))
        stored = await self._store.replace_user(UserChange(user=changed, revokes=None, now=self._now()))
        return changed if stored else user

    async def _change(self, user_id: str, change: Callable[[User], User], revokes: RevocationReason | None) -> User:
        for _ in range(_MAX_TRIES):
            user = await self.get(user_id)
            if user is None:
                raise LookupError(f"there is no user {user_id}")
            changed = self._sealed(replace(change(user), version=user.version + 1))
            if await self._store.replace_user(UserChange(user=changed, revokes=revokes, now=self._now())):
                return changed
        raise StoreUnavailable("the user is being changed by others")

    async def _tell(self, name: str, user: User, **details: bool) -> None:
        if self._oauth is not None:
            await self._oauth.tell(name, user_id=user.user_id, details=details)

    def _now(self) -> int:
        return int(self._clock())

    def _sealed(self, user: User) -> User:
        return replace(user, mac=self._keyring.row_mac("user", _row_fields(user)))

    def _is_genuine(self, user: User) -> bool:
        return self._keyring.row_mac_fits("user", _row_fields(user), user.mac)


def checked_user_id(text: str) -> str:
    """A user id as it is stored. Raises ValueError."""
    # A few letters outside ASCII become ASCII in lower case.
    user_id = text.lower() if text.isascii() else ""
    if not _USER_ID.fullmatch(user_id):
        raise ValueError(
            "a user id is 1 to 128 of the characters a-z, 0-9 and . _ @ + -, and begins with a letter or digit"
        )
    return user_id


def _known_user_id(text: str) -> str:
    return text if _UPSTREAM_USER_ID.fullmatch(text) else checked_user_id(text)


def _row_fields(user: User) -> list[MacField]:
    fields: list[MacField] = [user.user_id, user.password_hash, user.is_admin]
    fields += [user.created_at, user.disabled_at, user.version]
    # Without it as before there were names, so that rows of that time stay genuine.
    return fields if user.name is None else [*fields, user.name]


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


def _checked_password(password: str) -> str:
    normal = _normal(password)
    if len(normal) < MIN_PASSWORD_CHARACTERS or len(normal.encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
        raise ValueError(
            f"a password has at least {MIN_PASSWORD_CHARACTERS} characters and at most {MAX_PASSWORD_BYTES} bytes"
        )
    return normal
