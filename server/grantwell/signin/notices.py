"""What was just done, said on the page that a form leads to; nobody else can make a page say it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from ..crypto import MacField
from ..records import Session
from .visits import Site

_TEXT = re.compile(r"([a-z_]{1,40})-([0-9]{1,6})-([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Notice:
    """The text `notice.NAME.one` or `.other`, and the number in it."""

    name: str
    count: int

    @property
    def key(self) -> str:
        """The key of its text."""
        return f"notice.{self.name}.{'one' if self.count == 1 else 'other'}"


def leading_to(
    site: Site, session: Session, route: str, name: str, count: int = 1, parameters: Mapping[str, str] | None = None
) -> str:
    """The address of a page, with the parameters that it takes, that says that something was done."""
    token = site.keyring.csrf_token(_fields(session, name, count))
    return f"{site.path(route)}?{urlencode({**(parameters or {}), 'done': f'{name}-{count}-{token}'})}"


def notice_in(site: Site, session: Session, text: str) -> Notice | None:
    """What the parameter `done` of an address says, if this server put it there for this browser."""
    parts = _TEXT.fullmatch(text)
    if parts is None or not site.keyring.csrf_token_fits(_fields(session, parts[1], int(parts[2])), parts[3]):
        return None
    return Notice(parts[1], int(parts[2]))


def _fields(session: Session, name: str, count: int) -> list[MacField]:
    return ["notice", session.digest, name, count]
