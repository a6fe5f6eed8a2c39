"""A protected call: the access token becomes a principal, or the call is refused (RFC 6750, RFC 8707 section 2)."""

from __future__ import annotations

import json
from copy import deepcopy

from .._protocol.tokens import parse_token
from ..config import ProtectedResource
from ..crypto import Unsealable, digest_of
from ..errors import ExternalTokenError, OAuthError
from ..hooks import ExternalToken, ExternalTokenCheck
from ..records import Grant, Principal
from ..store import LiveAccessToken
from .asking import asked
from .context import Context
from .issuance import access_fields, owner_of


async def verify(context: Context, resource: ProtectedResource, credential: str, now: int) -> Principal:
    """Who presents this access token at this resource.

    Raises OAuthError `invalid_token`, ExternalTokenError from `resolve_external_token`, StoreUnavailable.
    """
    parsed = parse_token(credential)
    if parsed is not None and parsed.kind != "access":
        # Never for an external resolver to see: refresh tokens, codes and client secrets are credentials elsewhere.
        raise OAuthError("invalid_token", reason=f"a {parsed.kind} is not an access token")
    if parsed is not None:
        live = await context.store.get_access_token(parsed.grant_id, digest_of("access", credential), now)
        if live is not None:
            principal = opened_principal(context, live, credential)
            if resource.identifier not in principal.audience:
                raise OAuthError("invalid_token", "The access token is for another resource.")
            note_use(context, live.grant, live.client_last_used_at, now)
            return principal
    if context.hooks.resolve_external_token is None:
        raise OAuthError("invalid_token", reason="unknown, ended or malformed access token")
    return await _resolve(context, resource, credential, now)


def opened_principal(context: Context, live: LiveAccessToken, credential: str) -> Principal:
    """Who holds this live token. Raises OAuthError `invalid_token` if its row was altered."""
    grant, token = live.grant, live.token
    if not context.keyring.token_mac_fits(credential, access_fields(grant, token), token.mac):
        raise OAuthError("invalid_token", reason=f"the row of an access token of grant {grant.grant_id} was altered")
    try:
        key = context.keyring.unwrap(token.wrapped_key, credential, "access", grant.grant_id)
        props = context.keyring.open_props(key, live.props, owner_of(grant))
    except Unsealable as error:
        raise OAuthError("invalid_token", reason=f"{error} (grant {grant.grant_id})") from error
    return Principal(
        user_id=grant.user_id,
        props=json.loads(props.decode()),
        client_id=grant.client_id,
        grant_id=grant.grant_id,
        scopes=token.scopes,
        audience=token.audience,
        expires_at=token.expires_at,
    )


def note_use(context: Context, grant: Grant, client_last_used_at: int | None, now: int) -> None:
    """Note that a grant and its client were used, for listings and for housekeeping."""
    context.uses.note_grant(context.store, grant.grant_id, grant.last_used_at, now)
    context.uses.note_client(context.store, grant.client_id, client_last_used_at, now)


async def _resolve(context: Context, resource: ProtectedResource, credential: str, now: int) -> Principal:
    resolver = context.hooks.resolve_external_token
    if resolver is None:
        raise OAuthError("invalid_token", reason="no resolver of external tokens")
    check = ExternalTokenCheck(token=credential, resource=resource.identifier)
    token = await asked(context, "resolve_external_token", resolver, check, may_raise=ExternalTokenError)
    if token is None:
        raise OAuthError("invalid_token", reason="resolve_external_token does not know the token")
    if not isinstance(token, ExternalToken) or not _is_complete(token):
        raise OAuthError("server_error", reason="resolve_external_token returned an unusable value")
    if resource.identifier not in (token.audience or ()):
        raise OAuthError("invalid_token", "The access token is for another resource.")
    if token.expires_at is not None and now >= token.expires_at:
        raise OAuthError("invalid_token", reason="the external token is past its end")
    return Principal(
        user_id=token.user_id,
        props=deepcopy(token.props),
        client_id=None,
        grant_id=None,
        scopes=tuple(token.scopes),
        audience=tuple(token.audience),
        expires_at=token.expires_at,
    )


def _is_complete(token: ExternalToken) -> bool:
    """Whether the resolver kept to the types; a string for a list would be read letter by letter."""
    lists = (token.audience or (), token.scopes)
    return (
        all(isinstance(items, tuple | list) and all(isinstance(item, str) for item in items) for items in lists)
        and (token.user_id is None or isinstance(token.user_id, str))
        and (token.expires_at is None or type(token.expires_at) in (int, float))
    )
