"""Signed assertions: whether a client's or an issuer's own key made one, and that it is used once (RFC 7523).

Keys are the ones registered, or those at a registered URL, which are fetched again when one is missing, but not for
everybody who names a key that never was.
"""

from __future__ import annotations

from collections.abc import Collection

from .._outbound.failures import FetchFailed
from .._protocol.assertions import ParsedAssertion, RefusedAssertion, check_client_assertion
from .._protocol.json_documents import parse_object
from ..config import DAY, ED25519_NAMES, SIGNATURE_ALGORITHMS
from ..crypto import BadSignature, KeySet, UnacceptableKeys, UnknownKey, claim_digest
from ..errors import OAuthError
from ..records import Client
from ..store import Claim
from .context import Context, FetchedKeys, Sender

MAX_KEYS_BYTES = 64 * 1024

_KEPT_SECONDS = 300
_LEAST_KEPT_SECONDS = 30


async def unproven(context: Context, client: Client, assertion: ParsedAssertion, sender: Sender, now: int) -> str:
    """Why a client assertion does not prove that it is this client's; "" if it does, and then it is used up.

    Raises OAuthError `temporarily_unavailable` if the client's keys cannot be had, StoreUnavailable.
    """
    try:
        claimed = check_client_assertion(assertion, client_id=client.client_id, issuer=context.settings.issuer, now=now)
        registered = client.metadata.get("token_endpoint_auth_signing_alg")
        algorithms = SIGNATURE_ALGORITHMS if registered is None else _equal_to(registered)
        if client.jwks_uri is not None:
            await verify_by_url(context, assertion, client.jwks_uri, algorithms, sender, now)
        else:
            verify(assertion, KeySet.parse(client.jwks or {}), algorithms)
    except (RefusedAssertion, BadSignature, UnacceptableKeys) as error:
        return f"client assertion: {error}"
    claim = Claim(key=claim_digest("client assertion", client.client_id, claimed.jti), expires_at=claimed.expires_at)
    if not await context.store.claim(claim, now):
        return "the client assertion was used before"
    return ""


def _equal_to(algorithm: str) -> Collection[str]:
    return ED25519_NAMES if algorithm in ED25519_NAMES else (algorithm,)


def verify(assertion: ParsedAssertion, keys: KeySet, algorithms: Collection[str]) -> None:
    """Raises BadSignature unless one of these keys made the signature, by one of these algorithms."""
    keys.verify(assertion.text, algorithms=algorithms, key_id=assertion.key_id, algorithm=assertion.algorithm)


async def verify_by_url(
    context: Context,
    assertion: ParsedAssertion,
    url: str,
    algorithms: Collection[str],
    sender: Sender,
    now: int,
) -> None:
    """As `verify`, with the keys at a URL. Raises OAuthError `temporarily_unavailable` if they cannot be fetched."""
    known = await _keys_at(context, url, sender, now)
    try:
        verify(assertion, known.keys, algorithms)
    except UnknownKey:
        if now - known.fetched_at < _LEAST_KEPT_SECONDS:
            raise
        verify(assertion, (await _keys_at(context, url, sender, now, anew=True)).keys, algorithms)


async def _keys_at(context: Context, url: str, sender: Sender, now: int, *, anew: bool = False) -> FetchedKeys:
    async def load() -> tuple[FetchedKeys, int]:
        fetched = await context.fetcher.get(url, most_bytes=MAX_KEYS_BYTES, on_behalf_of=sender.address)
        keys = KeySet.parse(parse_object(fetched.body))
        kept = _KEPT_SECONDS if fetched.max_age is None else fetched.max_age
        return FetchedKeys(keys, now), min(max(kept, _LEAST_KEPT_SECONDS), DAY)

    # What is known stays until more is: nobody may take a client's keys away by naming one that never was.
    keys = context.key_sets.renew if anew else context.key_sets.get
    try:
        return await keys(url, load)
    except (FetchFailed, ValueError) as error:
        raise OAuthError("temporarily_unavailable", reason=f"the keys at {url!r} cannot be had: {error}") from error
