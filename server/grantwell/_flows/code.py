"""The authorization-code grant: a code, proven by its verifier, becomes tokens once (OAuth 2.1 section 4.1.3)."""

from __future__ import annotations

import secrets
from dataclasses import replace

from .._protocol.forms import Parameters
from .._protocol.pkce import check_verifier, verifier_fits
from .._protocol.redirects import matching_redirect_uri
from .._protocol.resources import parse_resources
from .._protocol.scopes import parse_scope
from .._protocol.tokens import parse_token
from ..config import CLOCK_SKEW
from ..crypto import digest_of, family_digest
from ..errors import OAuthError
from ..records import Client
from ..store import MAX_GRANTS_OF_SHARED_CLIENT, IssuedCode, Redemption, Revocation
from .callback import Changes
from .clients import require_grant_type
from .context import Context
from .issuance import FAMILY_BYTES, TokenAnswer, code_fields, make_refresh_token
from .narrowing import may_stay, narrowed_audience, narrowed_scopes
from .renewal import OpenedProps, ask_callback, idle_end, open_props, renew

# A second redemption this soon is a race or a duplicated delivery, not a theft.
REPLAY_GRACE_SECONDS = 10


async def exchange(context: Context, client: Client, form: Parameters, now: int) -> TokenAnswer:
    """Exchange a code. Raises OAuthError; a refusal leaves the code as it was."""
    code = form.one("code")
    if code is None:
        raise OAuthError("invalid_request", "The code parameter is missing.")
    require_grant_type(client, "authorization_code")
    issued = await _proven_code(context, client, code, form, now)
    grant = issued.grant
    audience = narrowed_audience(context.settings, grant, parse_resources(form.many("resource"), context.settings))
    scopes = narrowed_scopes(context.settings, grant.scopes, parse_scope(form.one("scope")), audience)
    opened = open_props(context, grant, issued.props, issued.code.wrapped_key, code, "code")
    changes = await ask_callback(
        context, grant, issued.generation, opened, grant_type="authorization_code", scopes=scopes, audience=audience
    )
    if changes is None:
        raise OAuthError("invalid_grant", reason="the code was exchanged by another request")
    if context.hooks.token_exchange is not None:
        now = context.now()
    redemption, answer = _prepare(context, client, issued, opened, changes, scopes, audience, now)
    if await context.store.redeem_code(redemption) == "refused":
        raise OAuthError("invalid_grant", reason="the code was spent, or its grant ended, meanwhile")
    await context.tell("code_exchanged", now, client_id=grant.client_id, user_id=grant.user_id, grant_id=grant.grant_id)
    return answer


async def _proven_code(context: Context, client: Client, code: str, form: Parameters, now: int) -> IssuedCode:
    """The code, once this client has shown that it is its own; a proven replay after the grace ends the grant."""
    parsed = parse_token(code)
    issued = None
    if parsed is not None and parsed.kind == "code":
        issued = await context.store.get_code(parsed.grant_id, digest_of("code", code))
    if issued is None or issued.grant.client_id != client.client_id:
        raise OAuthError("invalid_grant", reason="unknown code, or another client's")
    redirect_uri = form.one("redirect_uri")
    if redirect_uri is not None and redirect_uri != issued.grant.redirect_uri:
        raise OAuthError("invalid_grant", reason="redirect_uri is not the one of the authorization request")
    # What a metadata document said at consent was the snapshot that the user saw; it may say something else by now.
    is_withdrawn = not matching_redirect_uri(client.redirect_uris, issued.grant.redirect_uri or "")
    if is_withdrawn and client.origin != "document":
        raise OAuthError("invalid_grant", reason="the redirect URI was withdrawn")
    if not verifier_fits(check_verifier(form.one("code_verifier")), issued.code.code_challenge):
        raise OAuthError("invalid_grant", reason="code_verifier does not fit")
    if issued.code.redeemed_at is not None:
        await _refuse_replay(context, issued, issued.code.redeemed_at, now)
    if issued.grant.revoked_at is not None:
        raise OAuthError("invalid_grant", reason="the grant has ended")
    if not issued.code.issued_at - CLOCK_SKEW <= now < issued.code.expires_at:
        raise OAuthError("invalid_grant", reason="the code is past its end")
    if not context.keyring.token_mac_fits(code, code_fields(issued.grant, issued.code), issued.code.mac):
        raise OAuthError("invalid_grant", reason="the row of the code was altered")
    return issued


async def _refuse_replay(context: Context, issued: IssuedCode, redeemed_at: int, now: int) -> None:
    grant = issued.grant
    if now - redeemed_at > REPLAY_GRACE_SECONDS and await context.store.revoke_grant(
        Revocation(grant_id=grant.grant_id, now=now, reason="code_replay")
    ):
        await context.tell(
            "code_replayed", now, client_id=grant.client_id, user_id=grant.user_id, grant_id=grant.grant_id
        )
    raise OAuthError("invalid_grant", reason="the code was redeemed before")


def _prepare(
    context: Context,
    client: Client,
    issued: IssuedCode,
    opened: OpenedProps,
    changes: Changes,
    scopes: tuple[str, ...],
    audience: tuple[str, ...],
    now: int,
) -> tuple[Redemption, TokenAnswer]:
    """The tokens, and the transition that stores them."""
    lifetime = changes.refresh_token_ttl if changes.sets_refresh_token_ttl else context.settings.refresh_token_ttl
    with_refresh = lifetime != 0 and may_stay(client, issued.grant)
    ends_at = now + lifetime if lifetime and with_refresh else None
    renewal = renew(
        context,
        issued.grant,
        opened,
        changes,
        generation=issued.generation + 1,
        ends_at=ends_at,
        scopes=scopes,
        audience=audience,
        now=now,
    )
    grant = renewal.grant if with_refresh else replace(renewal.grant, expires_at=renewal.access.expires_at)
    refresh_text = refresh = family = None
    if with_refresh:
        family = secrets.token_bytes(FAMILY_BYTES)
        refresh_text, refresh = make_refresh_token(
            context.keyring,
            grant,
            renewal.grant_key,
            generation=issued.generation + 1,
            family=family,
            now=now,
            expires_at=idle_end(context, ends_at, now),
        )
    redemption = Redemption(
        grant_id=grant.grant_id,
        code=issued.code.digest,
        now=now,
        expires_at=grant.expires_at,
        family=None if family is None else family_digest(family),
        refresh=refresh,
        access=renewal.access,
        new_props=renewal.new_props,
        # All installations share the id of a metadata document: one must not end the grants of another.
        replaces=client.origin != "document",
        keep_newest=MAX_GRANTS_OF_SHARED_CLIENT,
    )
    answer = TokenAnswer(
        access_token=renewal.access_text,
        expires_at=renewal.access.expires_at,
        scopes=renewal.access.scopes,
        audience=renewal.access.audience,
        now=now,
        refresh_token=refresh_text,
        refresh_token_expires_at=None if refresh is None else refresh.expires_at,
    )
    return redemption, answer
