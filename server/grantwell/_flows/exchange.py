"""A narrower access token for one that is live, made by the server's own code (RFC 8693, in process)."""

from __future__ import annotations

from .._protocol.resources import parse_resources
from .._protocol.scopes import parse_scope
from .._protocol.tokens import parse_token
from ..crypto import Unsealable, digest_of
from ..errors import OAuthError
from ..store import LiveAccessToken, NewAccessToken
from .bearer import opened_principal
from .context import Context
from .issuance import DataKey, TokenAnswer, make_access_token
from .narrowing import narrowed_scopes

ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105


async def unwrap(context: Context, token: str) -> LiveAccessToken | None:
    """The live access token behind this text, its row authenticated; None for anything else."""
    live = await _live(context, token, context.now())
    if live is None:
        return None
    try:
        opened_principal(context, live, token)
    except OAuthError:
        return None
    return live


async def _live(context: Context, token: str, now: int) -> LiveAccessToken | None:
    parsed = parse_token(token)
    if parsed is None or parsed.kind != "access":
        return None
    return await context.store.get_access_token(parsed.grant_id, digest_of("access", token), now)


async def exchange(
    context: Context,
    subject_token: str,
    *,
    scopes: tuple[str, ...],
    resources: tuple[str, ...],
    ttl: int | None,
) -> TokenAnswer:
    """Issue an access token that is good for no more, and no longer, than the subject token.

    Raises OAuthError: `invalid_request` for a subject token that is not live, `invalid_scope`, `invalid_target`.
    """
    now = context.now()
    live = await _live(context, subject_token, now)
    if live is None:
        raise OAuthError("invalid_request", "The subject token is not valid.")
    opened_principal(context, live, subject_token)
    if ttl is not None and ttl < 1:
        raise OAuthError("invalid_request", "The lifetime must be at least one second.")
    audience = parse_resources(resources, context.settings) or live.token.audience
    if any(resource not in live.token.audience for resource in audience):
        raise OAuthError("invalid_target", "The resource is not among those of the subject token.")
    requested = parse_scope(" ".join(scopes) or None)
    try:
        key = context.keyring.unwrap(live.token.wrapped_key, subject_token, "access", live.grant.grant_id)
    except Unsealable as error:
        raise OAuthError("invalid_request", "The subject token is not valid.", reason=str(error)) from error
    text, access = make_access_token(
        context.keyring,
        live.grant,
        DataKey(key, live.token.props_version),
        scopes=narrowed_scopes(context.settings, live.token.scopes, requested, audience),
        audience=audience,
        now=now,
        expires_at=min(now + (ttl or context.settings.access_token_ttl), live.token.expires_at),
    )
    new = NewAccessToken(
        grant_id=live.grant.grant_id,
        generation=live.generation,
        access=access,
        parent=live.token.digest,
        now=now,
    )
    if await context.store.add_access_token(new) == "stale":
        raise OAuthError("temporarily_unavailable", reason="the grant moved on or ended meanwhile")
    return TokenAnswer(
        access_token=text,
        expires_at=access.expires_at,
        scopes=access.scopes,
        audience=access.audience,
        now=now,
        issued_token_type=ACCESS_TOKEN_TYPE,
    )
