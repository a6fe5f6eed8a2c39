"""Grants that are ended together: what a person has seen of them, and whether it is still that."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import OAuthHelpers
from ..crypto import equal
from ..records import Grant
from .visits import Site

MOST_COUNTED = 10_000
"""How many grants of a selection are looked at."""

MOST_ENDED = 1_000
"""How many of them one form ends: some seconds of work. What is left is shown again."""

_READ_AT_ONCE = 1000
_SEEN = re.compile(r"([0-9]{1,5})\.([0-9]{1,12})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which live grants: all that fit what is not None. Instants are seconds since 1970 UTC."""

    grant_id: str | None = None
    user_id: str | None = None
    client_id: str | None = None
    created_before: int | None = None
    unused_since: int | None = None

    def parameters(self) -> Mapping[str, str]:
        """The selection as it stands in addresses and forms."""
        values = {
            "grant": self.grant_id,
            "user": self.user_id,
            "client": self.client_id,
            "created_before": self.created_before,
            "unused_since": self.unused_since,
        }
        return {name: str(value) for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Selected:
    """The grants of a selection at one moment, newest first; it has more of them if they are not `complete`."""

    grants: Sequence[Grant]
    complete: bool

    @property
    def users(self) -> int:
        """How many users they are of."""
        return len({grant.user_id for grant in self.grants if grant.user_id is not None})

    @property
    def clients(self) -> int:
        """How many clients have them."""
        return len({grant.client_id for grant in self.grants})

    @property
    def last_used(self) -> int | None:
        """When one of them was used last; None if none ever was."""
        return max((grant.last_used_at for grant in self.grants if grant.last_used_at is not None), default=None)

    @property
    def seen(self) -> str:
        """What a form says of the grants that were shown with it: their number, and exactly which are the newest."""
        second = self.grants[0].created_at if self.grants else 0
        return f"{len(self.grants)}.{second}.{self._of_second(second)}"

    def has_grown_since(self, seen: str) -> bool:
        """Whether there is a grant among them that was not there when `seen` was. Raises ValueError for another text.

        A selection only grows by grants that are newer than those it has.
        """
        parts = _SEEN.fullmatch(seen)
        if parts is None:
            raise ValueError("this is nothing that was seen")
        count, second = int(parts[1]), int(parts[2])
        newer = any(grant.created_at > second for grant in self.grants)
        return newer or len(self.grants) > count or not equal(self._of_second(second).encode(), parts[3].encode())

    def _of_second(self, second: int) -> str:
        ids = sorted(grant.grant_id for grant in self.grants if grant.created_at == second)
        return hashlib.sha256("\0".join(ids).encode()).hexdigest()


async def selected(site: Site, selection: Selection) -> Selected:
    """The grants of a selection now, the newest MOST_COUNTED of them."""
    if selection.grant_id is not None:
        grant = await site.oauth.lookup_grant(selection.grant_id)
        return Selected([] if grant is None or not _is_live(grant, site) else [grant], complete=True)
    grants: list[Grant] = []
    cursor: str | None = None
    while len(grants) < MOST_COUNTED:
        page = await site.oauth.list_grants(
            user_id=selection.user_id,
            client_id=selection.client_id,
            created_before=selection.created_before,
            unused_since=selection.unused_since,
            limit=_READ_AT_ONCE,
            cursor=cursor,
        )
        grants += page.items
        cursor = page.cursor
        if cursor is None:
            return Selected(grants, complete=True)
    return Selected(grants, complete=False)


async def end(oauth: OAuthHelpers, chosen: Selected) -> int:
    """End these grants, the newest MOST_ENDED of them; how many of them had not ended."""
    ids = [grant.grant_id for grant in chosen.grants[:MOST_ENDED]]
    return sum([count async for count in oauth.revoke_grants(ids)])


def _is_live(grant: Grant, site: Site) -> bool:
    now = int(site.settings.clock())
    return grant.revoked_at is None and (grant.expires_at is None or grant.expires_at > now)
