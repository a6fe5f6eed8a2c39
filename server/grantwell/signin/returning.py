"""Where a sign-in leads back to: to one of our own pages that asked for it, and nowhere else."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from ..records import Session

FRESH_SECONDS = 15 * 60
"""How long after a sign-in an operator may act without another one."""

# The pages that can be come back to; those that act for an operator ask for a fresh sign-in.
_PAGES = {
    "/account": False,
    "/account/connections": False,
    "/account/connections/end": False,
    "/account/password": False,
    "/account/sessions": False,
    "/admin": False,
    "/admin/clients": False,
    "/admin/client": False,
    "/admin/client/delete": True,
    "/admin/grants": False,
    "/admin/grants/end": True,
    "/admin/users": False,
    "/admin/user": False,
    "/admin/user/access": True,
    "/admin/events": False,
}
_MAX_CHARACTERS = 2048


def destination(text: str) -> str | None:
    """The page of ours that `text` names, as a route with its parameters written anew; None for anything else."""
    route, _, query = text.partition("?")
    if len(text) > _MAX_CHARACTERS or route not in _PAGES:
        return None
    try:
        parameters = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=20)
    except ValueError:
        return None
    return f"{route}?{urlencode(parameters)}" if parameters else route


def is_fresh(session: Session, now: int) -> bool:
    """Whether somebody signed in on this browser so lately that they may act as an operator."""
    return session.user_id is not None and now - session.created_at <= FRESH_SECONDS


def suffices(session: Session | None, to: str, now: int) -> bool:
    """Whether this session may go on to a destination without another sign-in."""
    if session is None or session.user_id is None:
        return False
    return not _PAGES[to.partition("?")[0]] or is_fresh(session, now)
