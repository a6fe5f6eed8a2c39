"""Access tokens and the props versions they name: issued, found by one read, bounded in number, removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, null, or_, select, update

from grantwell.records import AccessToken, Digest, SealedProps
from grantwell.store import MAX_LIVE_ACCESS_TOKENS, LiveAccessToken, NewAccessToken

from ..tables import access_tokens, clients, codes, grants, props
from .columns import ACCESS_TOKEN, GRANT, PROPS
from .decode import Damaged, Row, readable, to_access_token, to_grant, to_props
from .encode import access_token_values, props_values
from .grants import alive_at, later_of

_tokens = access_tokens
_others = access_tokens.alias()

LIVE = (
    select(*GRANT, grants.c.generation, *ACCESS_TOKEN, *PROPS, clients.c.last_used_at)
    .select_from(_tokens)
    .join(grants, grants.c.grant_id == _tokens.c.grant_id)
    .join(clients, clients.c.client_id == grants.c.client_id)
    .join(props, (props.c.grant_id == _tokens.c.grant_id) & (props.c.version == _tokens.c.props_version))
    .where(
        _tokens.c.grant_id == bindparam("owner"),
        _tokens.c.digest == bindparam("token"),
        _tokens.c.expires_at > bindparam("at"),
        alive_at(bindparam("at")),
    )
)
"""The one read behind every protected call."""

_PARENT = exists().where(
    _tokens.c.grant_id == bindparam("owner"),
    _tokens.c.digest == bindparam("parent"),
    _tokens.c.expires_at > bindparam("at"),
)
_EXTEND = (
    update(grants)
    .where(
        grants.c.grant_id == bindparam("owner"),
        grants.c.generation == bindparam("generation_before"),
        grants.c.exchanged_at.is_not(None),
        alive_at(bindparam("at")),
        or_(bindparam("parent") == null(), _PARENT),
    )
    .values(last_used_at=later_of(grants.c.last_used_at, bindparam("at")))
    .returning(grants.c.grant_id)
)
_ISSUE = insert(_tokens).values(
    serial=select(func.coalesce(func.max(_others.c.serial), 0) + 1)
    .where(_others.c.grant_id == bindparam("owner"))
    .scalar_subquery()
)
_TRIM = delete(_tokens).where(
    _tokens.c.grant_id == bindparam("owner"),
    _tokens.c.serial.not_in(
        select(_others.c.serial)
        .where(_others.c.grant_id == bindparam("owner"), _others.c.expires_at > bindparam("at"))
        .order_by(_others.c.serial.desc())
        .limit(MAX_LIVE_ACCESS_TOKENS)
    ),
)
_REMOVE = (
    delete(_tokens)
    .where(_tokens.c.grant_id == bindparam("owner"), _tokens.c.digest == bindparam("token"))
    .returning(_tokens.c.grant_id)
)
_ADD_PROPS = insert(props)
_FORGET_PROPS = delete(props).where(
    props.c.grant_id.in_(bindparam("owners", expanding=True)),
    ~exists().where(
        codes.c.grant_id == props.c.grant_id,
        codes.c.props_version == props.c.version,
        codes.c.redeemed_at.is_(None),
    ),
    ~exists().where(
        grants.c.grant_id == props.c.grant_id,
        or_(grants.c.current_props_version == props.c.version, grants.c.previous_props_version == props.c.version),
    ),
    ~exists().where(_tokens.c.grant_id == props.c.grant_id, _tokens.c.props_version == props.c.version),
)


def add(connection: Connection, new: NewAccessToken) -> Literal["added", "stale"]:
    """See `Store.add_access_token`."""
    extended = connection.execute(
        _EXTEND,
        {"owner": new.grant_id, "generation_before": new.generation, "parent": new.parent, "at": new.now},
    ).one_or_none()
    if extended is None:
        return "stale"
    issue(connection, new.grant_id, new.access, (), new.now)
    return "added"


def issue(
    connection: Connection, grant_id: str, token: AccessToken, new_props: Sequence[SealedProps], now: int
) -> None:
    """Add an access token and props versions to a grant, and remove what they push out."""
    for version in new_props:
        connection.execute(_ADD_PROPS, props_values(grant_id, version))
    connection.execute(_ISSUE, access_token_values(grant_id, token) | {"owner": grant_id})
    connection.execute(_TRIM, {"owner": grant_id, "at": now})
    forget_props(connection, [grant_id])


def forget_props(connection: Connection, grant_ids: Iterable[str]) -> None:
    """Delete the props versions of these grants that no code, refresh token or access token names."""
    connection.execute(_FORGET_PROPS, {"owners": list(grant_ids)})


def get(connection: Connection, grant_id: str, token: Digest, now: int) -> LiveAccessToken | None:
    """See `Store.get_access_token`."""
    row = connection.execute(LIVE, {"owner": grant_id, "token": token, "at": now}).one_or_none()
    return readable(to_live_access_token, row)


def remove(connection: Connection, grant_id: str, token: Digest) -> bool:
    """See `Store.revoke_access_token`."""
    return connection.execute(_REMOVE, {"owner": grant_id, "token": token}).one_or_none() is not None


def to_live_access_token(row: Row) -> LiveAccessToken:
    """The answer of `LIVE`."""
    generation, used = row[13], row[24]
    if type(generation) is not int or not (used is None or type(used) is int):
        raise Damaged("a whole number was expected")
    return LiveAccessToken(
        grant=to_grant(row),
        generation=generation,
        token=to_access_token(row[14:22]),
        props=to_props(row[22:24]),
        client_last_used_at=used,
    )
