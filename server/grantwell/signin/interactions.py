"""Authorization requests that wait for their user: each bound to the browser that brought it, answered once."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass

from ..crypto import Keyring
from ..records import Digest, Interaction, Session
from ..store import AccountStore, InteractionKey, NewInteraction

INTERACTION_SECONDS = 600

_ID_BYTES = 24
_ID = re.compile(r"[A-Za-z0-9_\-]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An open request. `request` is as `AuthorizationRequest.encoded()`, `stored` what the database has of it.

    `stale_session` is the session that is not enough for it: its client asked for a fresh sign-in.
    """

    id: str
    key: InteractionKey
    request: str
    stored: str
    expires_at: int
    stale_session: str | None

    @property
    def needs_sign_in(self) -> bool:
        """Whether the session that was there before is still the same, and will not do."""
        return self.key.session.hex() == self.stale_session


class Interactions:
    """The open requests of one server. An id is random, and the database has a keyed digest of it.

    What was opened for one `purpose` is not found for another.
    """

    def __init__(self, store: AccountStore, keyring: Keyring, purpose: str = "interaction") -> None:
        self._store = store
        self._keyring = keyring
        self._purpose = purpose

    async def open(self, request: str, session: Session, now: int, *, fresh_sign_in: bool = False) -> str | None:
        """Remember a request for this browser; returns its id, None if the session has ended."""
        stale = session.digest.hex() if fresh_sign_in else None
        return await self._add(request, stale, session, now, now + INTERACTION_SECONDS)

    async def move(self, pending: Pending, session: Session, now: int) -> str | None:
        """Remember a request that was closed for another session of the same browser, for no longer than before."""
        return await self._add(pending.request, pending.stale_session, session, now, pending.expires_at)

    async def find(self, interaction_id: str, session: Session, now: int) -> Pending | None:
        """The open request of this id and this browser, if it was not altered in the database."""
        if not _ID.fullmatch(interaction_id):
            return None
        for digest in self._digests(interaction_id):
            key = InteractionKey(digest=digest, session=session.digest)
            interaction = await self._store.get_interaction(key, now)
            if interaction is not None:
                return self._opened(interaction_id, key, interaction)
        return None

    async def close(self, pending: Pending, now: int) -> bool:
        """Close a request without a grant; False if it was answered before."""
        return await self._store.close_interaction(pending.key, now)

    async def _add(self, request: str, stale: str | None, session: Session, now: int, expires_at: int) -> str | None:
        interaction_id = secrets.token_urlsafe(_ID_BYTES)
        digest = self._digests(interaction_id)[0]
        mac = self._keyring.row_mac(self._purpose, [digest, request, stale, now, expires_at])
        members = {"mac": mac.hex(), "request": request, "stale_session": stale}
        interaction = Interaction(
            digest=digest,
            session=session.digest,
            request=json.dumps(members, sort_keys=True, separators=(",", ":")),
            created_at=now,
            expires_at=expires_at,
            closed_at=None,
        )
        added = await self._store.add_interaction(NewInteraction(interaction=interaction, now=now))
        return interaction_id if added else None

    def _opened(self, interaction_id: str, key: InteractionKey, interaction: Interaction) -> Pending | None:
        try:
            members = json.loads(interaction.request)
            mac = bytes.fromhex(members["mac"])
            request, stale = members["request"], members["stale_session"]
            fields = [key.digest, request, stale, interaction.created_at, interaction.expires_at]
            if not self._keyring.row_mac_fits(self._purpose, fields, mac):
                return None
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return Pending(
            id=interaction_id,
            key=key,
            request=request,
            stored=interaction.request,
            expires_at=interaction.expires_at,
            stale_session=stale,
        )

    def _digests(self, interaction_id: str) -> tuple[Digest, ...]:
        # No cookie has a colon, so an id is never read as a cookie, nor the other way round.
        return self._keyring.cookie_digests(f"{self._purpose}:{interaction_id}")
