"""How grants end: whatever could open or continue them is erased with the mark that says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, select, update

from grantwell.records import RevocationReason
from grantwell.store import Revocation, UserRevocation

from ..tables import access_tokens, codes, grants, props
from .encode import slot_values
from .grants import alive_at

_CHUNK = 500

_END = (
    update(grants)
    .where(grants.c.revoked_at.is_(None))
    .values(
        revoked_at=bindparam("at"),
        revoked_reason=bindparam("reason"),
        generation=grants.c.generation + 1,
        family=None,
        seal=None,
        seal_until=None,
        retired="[]",
        lease_id=None,
        lease_until=None,
        lease_lapses=0,
        lease_refusals=0,
        **slot_values("current", None),
        **slot_values("previous", None),
    )
    # Compared here and not there: in RETURNING, some versions of SQLite take a column for one that is never NULL.
    .returning(grants.c.grant_id, grants.c.expires_at)
)

_THESE: Any = bindparam("grant_ids", expanding=True)
_ERASE = (
    delete(access_tokens).where(access_tokens.c.grant_id.in_(_THESE)),
    delete(props).where(props.c.grant_id.in_(_THESE)),
    update(codes).where(codes.c.grant_id.in_(_THESE)).values(wrapped_key=b""),
)


def revoke(connection: Connection, revocation: Revocation) -> bool:
    """See `Store.revoke_grant`."""
    condition = grants.c.grant_id == revocation.grant_id
    if revocation.user_id is not None:
        condition &= grants.c.user_id == revocation.user_id
    if revocation.client_id is not None:
        condition &= grants.c.client_id == revocation.client_id
    return end_where(connection, condition, revocation.now, revocation.reason) > 0


def revoke_user(connection: Connection, revocation: UserRevocation) -> int:
    """See `Store.revoke_user_grants`."""
    condition = grants.c.user_id == revocation.user_id
    if revocation.client_id is not None:
        condition &= grants.c.client_id == revocation.client_id
    return end_where(connection, condition, revocation.now, revocation.reason)


def end_where(connection: Connection, condition: ColumnElement[bool], now: int, reason: RevocationReason) -> int:
    """End the grants that meet a condition; how many of them were alive at `now`.

    One that is past its end is ended all the same: a clock may be set back.
    """
    ended = connection.execute(_END.where(condition), {"at": now, "reason": reason}).all()
    for grant_ids in _chunks(grant_id for grant_id, _ in ended):
        for statement in _ERASE:
            connection.execute(statement, {"grant_ids": grant_ids})
    return sum(not isinstance(expires_at, int) or expires_at > now for _, expires_at in ended)


def end_these(connection: Connection, grant_ids: Iterable[str], now: int, reason: RevocationReason) -> None:
    """End the grants of these ids that have not ended."""
    for chunk in _chunks(grant_ids):
        end_where(connection, grants.c.grant_id.in_(chunk), now, reason)


def not_ended(user_id: str | None, client_id: str) -> ColumnElement[bool]:
    """That a grant is of this user, or of nobody, and this client, and was not ended."""
    user = grants.c.user_id.is_(None) if user_id is None else grants.c.user_id == user_id
    return and_(user, grants.c.client_id == client_id, grants.c.revoked_at.is_(None))


def end_beyond(connection: Connection, newest: int, kept: str, owner: tuple[str | None, str], now: int) -> None:
    """Of the exchanged grants of a user and client, keep one and the most recently used others: `newest` in all."""
    statement = (
        select(grants.c.grant_id)
        .where(not_ended(*owner), grants.c.exchanged_at.is_not(None), alive_at(now), grants.c.grant_id != kept)
        .order_by(grants.c.last_used_at.desc(), grants.c.serial.desc())
        .offset(max(newest - 1, 0))
    )
    end_these(connection, connection.execute(statement).scalars(), now, "too_many")


def _chunks(grant_ids: Iterable[str]) -> Iterator[list[str]]:
    ids = list(grant_ids)
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
