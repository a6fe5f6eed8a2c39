"""A narrower access token for one that is live (RFC 8693), by the token endpoint or by the server's own code."""

from __future__ import annotations

from .._protocol.forms import Parameters
from .._protocol.resources import parse_resources
from .._protocol.scopes import parse_scope
from .._protocol.tokens import parse_token
from ..config import TOKEN_EXCHANGE
from ..crypto import Unsealable, digest_of
from ..errors import OAuthError
from ..hooks import CrossClientExchange
from ..records import Client
from ..store import MAX_GRANTS_OF_SHARED_CLIENT, LiveAccessToken, NewAccessToken, ParentToken
from . import direct
from .asking import asked
from .bearer import opened_principal
from .clients import require_grant_type
from .context import Context
from .issuance import DataKey, TokenAnswer, make_access_token
from .narrowing import narrowed_scopes

ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105


async def issue(context: Context, client: Client, form: Parameters, now: int) -> TokenAnswer:
    """The token-exchange grant, for a client that has authenticated. Raises OAuthError.

    A client exchanges its own tokens, and stays inside their grant. Another client's need the policy, and what is
    issued for one is a grant of the caller, which ends with the token.
    """
    require_grant_type(client, TOKEN_EXCHANGE)
    if client.is_public:
        raise OAuthError("unauthorized_client", reason="token exchange is for clients that authenticate")
    subject_token = _subject_token(form)
    targets = (*form.many("resource"), *form.many("audience"))
    live = await _proven(context, subject_token, now)
    if live.grant.client_id == client.client_id:
        return await _narrow(
            context, live, subject_token, scope=form.one("scope"), resources=targets, ttl=None, now=now
        )
    audience = _audience(context, live, targets)
    scopes = narrowed_scopes(context.settings, live.token.scopes, parse_scope(form.one("scope")), audience)
    await _ask_policy(context, client, live, scopes, audience)
    now = context.now()
    principal = opened_principal(context, live, subject_token)
    return await direct.issue(
        context,
        client,
        user_id=live.grant.user_id,
        scopes=scopes,
        audience=audience,
        props=principal.props,
        metadata={"exchanged_from": live.grant.grant_id},
        ends_at=min(now + context.settings.access_token_ttl, live.token.expires_at),
        now=now,
        parent=ParentToken(grant_id=live.grant.grant_id, digest=live.token.digest),
        keep_newest=None if live.grant.user_id is None else MAX_GRANTS_OF_SHARED_CLIENT,
        issued_token_type=ACCESS_TOKEN_TYPE,
    )


def _subject_token(form: Parameters) -> str:
    """The subject token of a request that is one this server can serve (RFC 8693 section 2.1)."""
    if form.one("actor_token") is not None or form.one("actor_token_type") is not None:
        raise OAuthError("invalid_request", "Actor tokens are not supported.")
    subject_token = form.one("subject_token")
    if subject_token is None:
        raise OAuthError("invalid_request", "The subject_token parameter is missing.")
    if form.one("subject_token_type") != ACCESS_TOKEN_TYPE:
        raise OAuthError("invalid_request", "The subject_token_type must be that of an access token.")
    if form.one("requested_token_type") not in (None, ACCESS_TOKEN_TYPE):
        raise OAuthError("invalid_request", "The requested_token_type must be that of an access token.")
    return subject_token


async def _ask_policy(
    context: Context, client: Client, live: LiveAccessToken, scopes: tuple[str, ...], audience: tuple[str, ...]
) -> None:
    policy = context.hooks.token_exchange_policy
    if policy is None:
        raise OAuthError("invalid_request", "The subject token is not valid.", reason="another client's token")
    event = CrossClientExchange(
        client_id=client.client_id,
        subject_client_id=live.grant.client_id,
        user_id=live.grant.user_id,
        grant_id=live.grant.grant_id,
        scopes=scopes,
        resources=audience,
    )
    # Nothing but True lets it: a policy that answers with something else by mistake must not open a door.
    if await asked(context, "token_exchange_policy", policy, event) is not True:
        raise OAuthError("invalid_request", "The subject token is not valid.", reason="the policy does not allow it")


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
    live = await _proven(context, subject_token, now)
    if ttl is not None and ttl < 1:
        raise OAuthError("invalid_request", "The lifetime must be at least one second.")
    scope = " ".join(scopes) or None
    return await _narrow(context, live, subject_token, scope=scope, resources=resources, ttl=ttl, now=now)


async def _proven(context: Context, subject_token: str, now: int) -> LiveAccessToken:
    live = await _live(context, subject_token, now)
    if live is None:
        raise OAuthError("invalid_request", "The subject token is not valid.")
    try:
        opened_principal(context, live, subject_token)
    except OAuthError as error:
        raise OAuthError("invalid_request", "The subject token is not valid.", reason=error.reason) from error
    return live


def _audience(context: Context, live: LiveAccessToken, resources: tuple[str, ...]) -> tuple[str, ...]:
    audience = parse_resources(resources, context.settings) or live.token.audience
    if any(resource not in live.token.audience for resource in audience):
        raise OAuthError("invalid_target", "The resource is not among those of the subject token.")
    return audience


async def _narrow(
    context: Context,
    live: LiveAccessToken,
    subject_token: str,
    *,
    scope: str | None,
    resources: tuple[str, ...],
    ttl: int | None,
    now: int,
) -> TokenAnswer:
    """One more access token of the same grant, good for no more and no longer than the subject token."""
    audience = _audience(context, live, resources)
    try:
        key = context.keyring.unwrap(live.token.wrapped_key, subject_token, "access", live.grant.grant_id)
    except Unsealable as error:
        raise OAuthError("invalid_request", "The subject token is not valid.", reason=str(error)) from error
    text, access = make_access_token(
        context.keyring,
        live.grant,
        DataKey(key, live.token.props_version),
        scopes=narrowed_scopes(context.settings, live.token.scopes, parse_scope(scope), audience),
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
    await context.tell(
        "token_exchanged", now, client_id=live.grant.client_id, user_id=live.grant.user_id, grant_id=live.grant.grant_id
    )
    return TokenAnswer(
        access_token=text,
        expires_at=access.expires_at,
        scopes=access.scopes,
        audience=access.audience,
        now=now,
        issued_token_type=ACCESS_TOKEN_TYPE,
    )
