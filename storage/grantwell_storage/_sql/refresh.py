"""Refresh: the tokens of a grant, their rotation by compare-and-swap, and the lease of the callback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import Connection, bindparam, case, or_, select, update

from grantwell.store import Lease, LeaseRequest, RefreshableGrant, Rotation

from ..tables import grants, props
from . import access_tokens
from .columns import GRANT, PROPS, REFRESH
from .decode import Row, readable, to_grant, to_props, to_refresh_state
from .encode import retired_text, slot_values
from .grants import alive_at, later_of

_NAMED = or_(props.c.version == grants.c.current_props_version, props.c.version == grants.c.previous_props_version)
_GET = (
    select(*GRANT, *REFRESH, *PROPS)
    .select_from(grants)
    .outerjoin(props, (props.c.grant_id == grants.c.grant_id) & _NAMED)
    .where(grants.c.grant_id == bindparam("id"))
    .order_by(props.c.version)
)
_ROTATE = (
    update(grants)
    .where(
        grants.c.grant_id == bindparam("owner"),
        grants.c.generation == bindparam("generation_before"),
        grants.c.exchanged_at.is_not(None),
        alive_at(bindparam("at")),
    )
    .values(
        generation=grants.c.generation + 1,
        last_used_at=later_of(grants.c.last_used_at, bindparam("at")),
        lease_id=None,
        lease_until=None,
        lease_lapses=0,
        lease_refusals=0,
    )
    .returning(grants.c.grant_id)
)
_TAKE = (
    update(grants)
    .where(
        grants.c.grant_id == bindparam("owner"),
        grants.c.generation == bindparam("generation_now"),
        alive_at(bindparam("at")),
        or_(grants.c.lease_id.is_(None), grants.c.lease_until.is_(None), grants.c.lease_until <= bindparam("at")),
    )
    .values(
        lease_id=bindparam("holder"),
        lease_until=bindparam("until"),
        lease_lapses=grants.c.lease_lapses + case((grants.c.lease_id.is_(None), 0), else_=1),
    )
    .returning(grants.c.lease_lapses, grants.c.lease_refusals)
)
_OURS = (grants.c.grant_id == bindparam("owner"), grants.c.lease_id == bindparam("holder"))
_RENEW = (
    update(grants)
    .where(*_OURS)
    .values(lease_until=later_of(grants.c.lease_until, bindparam("until")))
    .returning(grants.c.grant_id)
)
_RELEASE = (
    update(grants)
    .where(*_OURS)
    .values(lease_id=None, lease_until=None, lease_refusals=grants.c.lease_refusals + bindparam("refusals"))
)


def get(connection: Connection, grant_id: str) -> RefreshableGrant | None:
    """See `Store.get_refreshable`."""
    rows = connection.execute(_GET, {"id": grant_id}).all()
    return readable(to_refreshable, rows) if rows else None


def to_refreshable(rows: Sequence[Row]) -> RefreshableGrant:
    """The answer of `_GET`: a row for each props version, or one without."""
    first = rows[0]
    return RefreshableGrant(
        grant=to_grant(first[:13]),
        refresh=to_refresh_state(first[13:30]),
        props=tuple(to_props(row[30:32]) for row in rows if row[30] is not None),
    )


def rotate(connection: Connection, rotation: Rotation) -> Literal["rotated", "stale"]:
    """See `Store.rotate`."""
    values = {
        "owner": rotation.grant_id,
        "generation_before": rotation.generation,
        "at": rotation.now,
        "expires_at": rotation.expires_at,
        "seal": rotation.seal,
        "seal_until": rotation.seal_until,
        "retired": retired_text(rotation.retired),
        **slot_values("current", rotation.current),
        **slot_values("previous", rotation.previous),
    }
    if connection.execute(_ROTATE, values).one_or_none() is None:
        return "stale"
    access_tokens.issue(connection, rotation.grant_id, rotation.access, rotation.new_props, rotation.now)
    return "rotated"


def take_lease(connection: Connection, request: LeaseRequest) -> Lease | None:
    """See `Store.take_lease`."""
    taken = connection.execute(
        _TAKE,
        {
            "owner": request.grant_id,
            "generation_now": request.generation,
            "holder": request.lease_id,
            "at": request.now,
            "until": request.until,
        },
    ).one_or_none()
    if taken is None:
        return None
    lapses, refusals = taken
    # Not "> 0": a damaged count is no number, and counts.
    return Lease(lapsed=lapses != 0, refused=refusals != 0)


def renew_lease(connection: Connection, grant_id: str, lease_id: str, until: int) -> bool:
    """See `Store.renew_lease`."""
    values = {"owner": grant_id, "holder": lease_id, "until": until}
    return connection.execute(_RENEW, values).one_or_none() is not None


def release_lease(connection: Connection, grant_id: str, lease_id: str, *, refused: bool) -> None:
    """See `Store.release_lease`."""
    connection.execute(_RELEASE, {"owner": grant_id, "holder": lease_id, "refusals": int(refused)})
