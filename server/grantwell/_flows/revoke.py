"""Token revocation (RFC 7009): a client ends its own token; for any other the answer is the same."""

from __future__ import annotations

from .._protocol.forms import Parameters
from .._protocol.tokens import ParsedToken, parse_token
from ..crypto import digest_of, equal, family_digest
from ..errors import OAuthError
from ..records import Client
from ..store import Revocation
from .clients import authenticate
from .context import Context, Sender
from .token import refuse_repeated


async def revoke(context: Context, sender: Sender, form: Parameters) -> None:
    """Revoke the token if it is this client's. Raises OAuthError or StoreUnavailable; an unknown token is no error.

    A refresh token, or a code not yet exchanged, ends its grant; an access token ends alone. `token_type_hint` is not
    needed: a token says what it is.
    """
    now = context.now()
    refuse_repeated(form)
    client = await authenticate(context, sender, form, now)
    text = form.one("token")
    if text is None:
        raise OAuthError("invalid_request", "The token parameter is missing.")
    token = parse_token(text)
    if token is None:
        return
    match token.kind:
        case "access":
            await _revoke_access_token(context, client, token, now)
        case "refresh":
            if await _is_own_refresh_token(context, client, token):
                await _end_grant(context, client, token, now)
        case "code":
            issued = await context.store.get_code(token.grant_id, digest_of("code", text))
            if issued is not None and issued.grant.client_id == client.client_id and issued.code.redeemed_at is None:
                await _end_grant(context, client, token, now)
        case _:
            return


async def _revoke_access_token(context: Context, client: Client, token: ParsedToken, now: int) -> None:
    digest = digest_of("access", token.text)
    live = await context.store.get_access_token(token.grant_id, digest, now)
    if live is None or live.grant.client_id != client.client_id:
        return
    if await context.store.revoke_access_token(token.grant_id, digest):
        await context.tell(
            "token_revoked",
            now,
            client_id=client.client_id,
            user_id=live.grant.user_id,
            grant_id=token.grant_id,
            reason="client_request",
        )


async def _is_own_refresh_token(context: Context, client: Client, token: ParsedToken) -> bool:
    """Whether the token was once issued to this client; the family shows it, also for one that is retired by now."""
    found = await context.store.get_refreshable(token.grant_id)
    return (
        found is not None
        and found.grant.client_id == client.client_id
        and found.refresh.family is not None
        and equal(found.refresh.family, family_digest(token.family))
    )


async def _end_grant(context: Context, client: Client, token: ParsedToken, now: int) -> None:
    revocation = Revocation(grant_id=token.grant_id, now=now, reason="client_request", client_id=client.client_id)
    if await context.store.revoke_grant(revocation):
        await context.tell(
            "grant_revoked", now, client_id=client.client_id, grant_id=token.grant_id, reason="client_request"
        )
