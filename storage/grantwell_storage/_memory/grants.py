"""Grants, codes and tokens in memory."""

from __future__ import annotations

from dataclasses import replace
from hmac import compare_digest
from typing import Literal

from grantwell.records import Digest, Grant, RefreshState
from grantwell.store import (
    DirectGrant,
    GrantQuery,
    IssuedCode,
    Lease,
    LeaseRequest,
    LiveAccessToken,
    NewAccessToken,
    NewGrant,
    Page,
    Redemption,
    RefreshableGrant,
    Revocation,
    Rotation,
    Use,
    UserRevocation,
)

from ..paging import key_of
from . import clients
from .tables import NO_REFRESH, GrantRow, Tables, apart, paged


def add(tables: Tables, new: NewGrant) -> Literal["added", "client_gone", "interaction_closed"]:
    """See `Store.add_grant`."""
    grant = apart(new.grant)
    if new.document is None and grant.client_id not in tables.clients:
        return "client_gone"
    if new.interaction is not None:
        waiting = tables.interactions.get(new.interaction.digest)
        session = tables.live_session(new.interaction.session, new.now)
        if waiting is None or session is None or waiting.interaction.session != new.interaction.session:
            return "interaction_closed"
        if not waiting.is_open(new.now) or session.user_id is None or session.user_id != grant.user_id:
            return "interaction_closed"
        waiting.interaction = replace(waiting.interaction, closed_at=new.now)
    if new.document is not None:
        clients.put_snapshot(tables, new.document)
    tables.grants[grant.grant_id] = GrantRow(
        grant, new.code, _next_serial(tables, grant), {new.props.version: new.props}
    )
    return "added"


def add_direct(tables: Tables, new: DirectGrant) -> Literal["added", "client_gone", "claimed", "stale"]:
    """See `Store.add_direct_grant`."""
    now, grant = new.now, apart(new.grant)
    if grant.client_id not in tables.clients:
        return "client_gone"
    parent = new.parent
    if parent is not None and get_access_token(tables, parent.grant_id, parent.digest, now) is None:
        return "stale"
    if new.claim is not None and not clients.claim(tables, new.claim, now):
        return "claimed"
    # Where the exchange of a code would have left it.
    grant = replace(grant, exchanged_at=now, last_used_at=now)
    row = GrantRow(grant, None, _next_serial(tables, grant), {}, replace(NO_REFRESH, generation=1))
    tables.grants[grant.grant_id] = row
    row.issue(new.access, (new.props,), now)
    if new.keep_newest is not None:
        _end_beyond(tables, row, new.keep_newest, now)
    return "added"


def _next_serial(tables: Tables, grant: Grant) -> int:
    return 1 + max((row.serial for row in _of_owner(tables, grant)), default=0)


def _of_owner(tables: Tables, grant: Grant) -> list[GrantRow]:
    owner = (grant.user_id, grant.client_id)
    return [row for row in tables.grants.values() if (row.grant.user_id, row.grant.client_id) == owner]


def get_code(tables: Tables, grant_id: str, code: Digest) -> IssuedCode | None:
    """See `Store.get_code`."""
    row = tables.grants.get(grant_id)
    if row is None or row.code is None or not compare_digest(row.code.digest, code):
        return None
    props = row.props.get(row.code.props_version)
    return IssuedCode(grant=apart(row.grant), code=row.code, generation=row.refresh.generation, props=props)


def redeem(tables: Tables, redemption: Redemption) -> Literal["redeemed", "refused"]:
    """See `Store.redeem_code`."""
    now, row = redemption.now, tables.grants.get(redemption.grant_id)
    if row is None or row.code is None or not row.is_alive(now) or row.refresh.generation != 0:
        return "refused"
    is_unspent = row.code.redeemed_at is None and now < row.code.expires_at
    if not is_unspent or not compare_digest(row.code.digest, redemption.code):
        return "refused"
    row.code = replace(row.code, redeemed_at=now, wrapped_key=b"")
    row.grant = replace(row.grant, exchanged_at=now, expires_at=redemption.expires_at, last_used_at=row.used_at(now))
    row.refresh = replace(row.refresh, generation=1, family=redemption.family, current=redemption.refresh)
    row.drop_lease()
    row.issue(redemption.access, redemption.new_props, now)
    if redemption.replaces:
        _end_replaced(tables, row, now)
    if redemption.keep_newest is not None:
        _end_beyond(tables, row, redemption.keep_newest, now)
    return "redeemed"


def _end_replaced(tables: Tables, row: GrantRow, now: int) -> None:
    kind = (row.grant.redirect_uri, row.grant.resources)
    for other in _of_owner(tables, row.grant):
        if (other.grant.redirect_uri, other.grant.resources) == kind and other.serial < row.serial:
            other.end(now, "replaced")


def _end_beyond(tables: Tables, row: GrantRow, newest: int, now: int) -> None:
    live = [
        other
        for other in _of_owner(tables, row.grant)
        if other is not row and other.grant.exchanged_at is not None and other.is_alive(now)
    ]
    live.sort(key=lambda other: (other.grant.last_used_at or 0, other.serial), reverse=True)
    for other in live[max(newest - 1, 0) :]:
        other.end(now, "too_many")


def get_refreshable(tables: Tables, grant_id: str) -> RefreshableGrant | None:
    """See `Store.get_refreshable`."""
    row = tables.grants.get(grant_id)
    if row is None:
        return None
    slots = (row.refresh.current, row.refresh.previous)
    named = {slot.props_version for slot in slots if slot is not None}
    props = tuple(row.props[version] for version in sorted(named) if version in row.props)
    return RefreshableGrant(grant=apart(row.grant), refresh=row.refresh, props=props)


def rotate(tables: Tables, rotation: Rotation) -> Literal["rotated", "stale"]:
    """See `Store.rotate`."""
    now, row = rotation.now, tables.grants.get(rotation.grant_id)
    if row is None or not row.is_alive(now) or row.grant.exchanged_at is None:
        return "stale"
    if row.refresh.generation != rotation.generation:
        return "stale"
    row.grant = replace(row.grant, expires_at=rotation.expires_at, last_used_at=row.used_at(now))
    row.refresh = RefreshState(
        generation=rotation.generation + 1,
        family=row.refresh.family,
        current=rotation.current,
        previous=rotation.previous,
        seal=rotation.seal,
        seal_until=rotation.seal_until,
        retired=rotation.retired,
    )
    row.drop_lease()
    row.issue(rotation.access, rotation.new_props, now)
    return "rotated"


def add_access_token(tables: Tables, new: NewAccessToken) -> Literal["added", "stale"]:
    """See `Store.add_access_token`."""
    now, row = new.now, tables.grants.get(new.grant_id)
    if row is None or not row.is_alive(now) or row.grant.exchanged_at is None:
        return "stale"
    if row.refresh.generation != new.generation:
        return "stale"
    if new.parent is not None:
        parent = row.tokens.get(new.parent)
        if parent is None or now >= parent.expires_at:
            return "stale"
    row.grant = replace(row.grant, last_used_at=row.used_at(now))
    row.issue(new.access, (), now)
    return "added"


def get_access_token(tables: Tables, grant_id: str, digest: Digest, now: int) -> LiveAccessToken | None:
    """See `Store.get_access_token`."""
    row = tables.grants.get(grant_id)
    token = None if row is None else row.tokens.get(digest)
    if row is None or token is None or not row.is_alive(now) or now >= token.expires_at:
        return None
    props = row.props.get(token.props_version)
    if props is None:
        return None
    return LiveAccessToken(
        grant=apart(row.grant),
        generation=row.refresh.generation,
        token=token,
        props=props,
        client_last_used_at=tables.clients[row.grant.client_id].last_used_at,
    )


def revoke_access_token(tables: Tables, grant_id: str, digest: Digest) -> bool:
    """See `Store.revoke_access_token`."""
    row = tables.grants.get(grant_id)
    return row is not None and row.tokens.pop(digest, None) is not None


def take_lease(tables: Tables, request: LeaseRequest) -> Lease | None:
    """See `Store.take_lease`."""
    row = tables.grants.get(request.grant_id)
    if row is None or not row.is_alive(request.now) or row.refresh.generation != request.generation:
        return None
    if row.lease_id is not None:
        if request.now < row.lease_until:
            return None
        row.lapses += 1
    row.lease_id, row.lease_until = request.lease_id, request.until
    return Lease(lapsed=row.lapses > 0, refused=row.refusals > 0)


def renew_lease(tables: Tables, grant_id: str, lease_id: str, until: int) -> bool:
    """See `Store.renew_lease`."""
    row = tables.grants.get(grant_id)
    if row is None or row.lease_id != lease_id:
        return False
    row.lease_until = max(row.lease_until, until)
    return True


def release_lease(tables: Tables, grant_id: str, lease_id: str, *, refused: bool) -> None:
    """See `Store.release_lease`."""
    row = tables.grants.get(grant_id)
    if row is not None and row.lease_id == lease_id:
        row.lease_id = None
        row.refusals += refused


def revoke(tables: Tables, revocation: Revocation) -> bool:
    """See `Store.revoke_grant`."""
    row = tables.grants.get(revocation.grant_id)
    if row is None or revocation.user_id not in (None, row.grant.user_id):
        return False
    if revocation.client_id not in (None, row.grant.client_id):
        return False
    return row.end(revocation.now, revocation.reason)


def revoke_user(tables: Tables, revocation: UserRevocation) -> int:
    """See `Store.revoke_user_grants`."""
    return sum(
        row.end(revocation.now, revocation.reason)
        for row in tables.grants.values()
        if row.grant.user_id == revocation.user_id and revocation.client_id in (None, row.grant.client_id)
    )


def list_grants(tables: Tables, query: GrantQuery) -> Page[Grant]:
    """See `Store.list_grants`."""

    def key(grant: Grant) -> tuple[int | str, ...]:
        return grant.created_at, grant.grant_id

    def wanted(row: GrantRow) -> bool:
        grant = row.grant
        if query.user_id not in (None, grant.user_id) or query.client_id not in (None, grant.client_id):
            return False
        if query.created_before is not None and grant.created_at >= query.created_before:
            return False
        used = grant.created_at if grant.last_used_at is None else grant.last_used_at
        if query.unused_since is not None and used > query.unused_since:
            return False
        if row.is_alive(query.now) is (query.state == "ended"):
            return False
        return query.state in (None, "ended") or (grant.exchanged_at is not None) is (query.state == "active")

    behind = None if query.cursor is None else key_of(query.cursor, int, str)
    found = [row.grant for row in tables.grants.values() if wanted(row)]
    return paged([grant for grant in found if behind is None or key(grant) < behind], key, query.limit, falling=True)


def record_use(tables: Tables, use: Use) -> None:
    """See `Store.record_use`."""
    for grant_id in use.grant_ids:
        row = tables.grants.get(grant_id)
        if row is not None:
            row.grant = replace(row.grant, last_used_at=row.used_at(use.now))
    for client_id in use.client_ids:
        client = tables.clients.get(client_id)
        if client is not None:
            tables.clients[client_id] = replace(client, last_used_at=max(use.now, client.last_used_at or use.now))
