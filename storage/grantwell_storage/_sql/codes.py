"""Authorization codes: looked up, and spent once, together with what is issued for them."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, bindparam, exists, select, update

from grantwell.records import Digest
from grantwell.store import IssuedCode, Redemption

from ..tables import codes, grants, props
from . import access_tokens
from .columns import CODE, GRANT, PROPS
from .decode import Damaged, Row, readable, to_code, to_grant, to_props
from .encode import slot_values
from .endings import end_beyond, end_these, not_ended
from .grants import alive_at, later_of

_GET = (
    select(*CODE, *GRANT, grants.c.generation, *PROPS)
    .select_from(codes)
    .join(grants, grants.c.grant_id == codes.c.grant_id)
    .outerjoin(props, (props.c.grant_id == codes.c.grant_id) & (props.c.version == codes.c.props_version))
    .where(codes.c.grant_id == bindparam("owner"), codes.c.digest == bindparam("code"))
)

_UNSPENT = exists().where(
    codes.c.grant_id == bindparam("owner"),
    codes.c.digest == bindparam("code"),
    codes.c.redeemed_at.is_(None),
    codes.c.expires_at > bindparam("at"),
)
# The generation leaves 0 once, so that of all racers, and of a revocation among them, one has it.
_REDEEM = (
    update(grants)
    .where(grants.c.grant_id == bindparam("owner"), grants.c.generation == 0, alive_at(bindparam("at")), _UNSPENT)
    .values(
        generation=1,
        exchanged_at=bindparam("at"),
        last_used_at=later_of(grants.c.last_used_at, bindparam("at")),
        lease_id=None,
        lease_until=None,
        lease_lapses=0,
        lease_refusals=0,
    )
    .returning(grants.c.user_id, grants.c.client_id, grants.c.redirect_uri, grants.c.resources, grants.c.serial)
)
_SPEND = (
    update(codes).where(codes.c.grant_id == bindparam("owner")).values(redeemed_at=bindparam("at"), wrapped_key=b"")
)


def get(connection: Connection, grant_id: str, code: Digest) -> IssuedCode | None:
    """See `Store.get_code`."""
    return readable(to_issued_code, connection.execute(_GET, {"owner": grant_id, "code": code}).one_or_none())


def to_issued_code(row: Row) -> IssuedCode:
    """The answer of `_GET`."""
    if type(row[21]) is not int:
        raise Damaged("a whole number was expected")
    return IssuedCode(
        code=to_code(row[:8]),
        grant=to_grant(row[8:21]),
        generation=row[21],
        props=None if row[22] is None else to_props(row[22:24]),
    )


def redeem(connection: Connection, redemption: Redemption) -> Literal["redeemed", "refused"]:
    """See `Store.redeem_code`."""
    grant_id, now = redemption.grant_id, redemption.now
    values = {
        "owner": grant_id,
        "code": redemption.code,
        "at": now,
        "expires_at": redemption.expires_at,
        "family": redemption.family,
        **slot_values("current", redemption.refresh),
    }
    redeemed = connection.execute(_REDEEM, values).one_or_none()
    if redeemed is None:
        return "refused"
    connection.execute(_SPEND, {"owner": grant_id, "at": now})
    access_tokens.issue(connection, grant_id, redemption.access, redemption.new_props, now)
    if redemption.replaces:
        end_these(connection, _replaced(connection, redeemed), now, "replaced")
    if redemption.keep_newest is not None:
        end_beyond(connection, redemption.keep_newest, grant_id, (redeemed[0], redeemed[1]), now)
    return "redeemed"


def _replaced(connection: Connection, redeemed: Row) -> list[str]:
    redirect_uri, resources, serial = redeemed[2], redeemed[3], redeemed[4]
    to = grants.c.redirect_uri.is_(None) if redirect_uri is None else grants.c.redirect_uri == redirect_uri
    statement = select(grants.c.grant_id).where(
        not_ended(redeemed[0], redeemed[1]), to, grants.c.resources == resources, grants.c.serial < serial
    )
    return list(connection.execute(statement).scalars())
