"""Grants that begin with an access token, because no user is there to be asked: no code, no refresh token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..crypto import PropsOwner, encode_props
from ..errors import OAuthError
from ..records import Client, Grant
from ..store import Claim, DirectGrant, ParentToken
from .context import Context
from .issuance import DataKey, TokenAnswer, make_access_token, new_grant_id


async def issue(
    context: Context,
    client: Client,
    *,
    user_id: str | None,
    scopes: tuple[str, ...],
    audience: tuple[str, ...],
    props: Any,
    metadata: Mapping[str, Any],
    ends_at: int,
    now: int,
    claim: Claim | None = None,
    parent: ParentToken | None = None,
    keep_newest: int | None = None,
    issued_token_type: str | None = None,
) -> TokenAnswer:
    """Issue an access token in a grant of its own, which ends with it at `ends_at` (seconds since 1970 UTC).

    Raises OAuthError: `invalid_grant` if `claim` was used before, `invalid_request` if `parent` has ended; ValueError
    for props that cannot be stored.
    """
    grant = Grant(
        grant_id=new_grant_id(),
        user_id=user_id,
        client_id=client.client_id,
        scopes=scopes,
        resources=audience,
        redirect_uri=None,
        metadata=metadata,
        created_at=now,
        exchanged_at=now,
        expires_at=ends_at,
        last_used_at=now,
        revoked_at=None,
        revoked_reason=None,
    )
    owner = PropsOwner(user_id=user_id, grant_id=grant.grant_id, client_id=client.client_id)
    key, sealed = context.keyring.seal_props(encode_props(props), owner, 0)
    text, access = make_access_token(
        context.keyring,
        grant,
        DataKey(key, sealed.version),
        scopes=scopes,
        audience=audience,
        now=now,
        expires_at=ends_at,
    )
    outcome = await context.store.add_direct_grant(
        DirectGrant(
            grant=grant, access=access, props=sealed, claim=claim, parent=parent, keep_newest=keep_newest, now=now
        )
    )
    if outcome == "claimed":
        raise OAuthError("invalid_grant", reason="the assertion was used before")
    if outcome == "stale":
        raise OAuthError("invalid_request", "The subject token is not valid.", reason="it ended meanwhile")
    if outcome == "client_gone":
        raise OAuthError("invalid_client", reason="the client was deleted meanwhile")
    await context.tell("token_issued", now, client_id=client.client_id, user_id=user_id, grant_id=grant.grant_id)
    return TokenAnswer(
        access_token=text,
        expires_at=ends_at,
        scopes=scopes,
        audience=audience,
        now=now,
        issued_token_type=issued_token_type,
    )
