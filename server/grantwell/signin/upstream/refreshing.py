"""Keeping upstream tokens fresh: a ready `token_exchange_callback`, which runs once a rotation, under its lease."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable

from ...config import Clock
from ...errors import OAuthError
from ...hooks import TokenExchange, TokenExchangeResult
from .failures import UpstreamRefusal, UpstreamUnavailable
from .kept import KeptTokens
from .upstream import Upstream

REMEMBERED_SECONDS = 300
_MOST_REMEMBERED = 1000


class UpstreamTokens:
    """A `token_exchange_callback` that keeps `props["upstream"]` usable for as long as the access token that is issued.

    The upstream's access token is renewed when it would end before ours, or has lived for half of its life if that is
    sooner; ours never outlives it. Where the upstream says `invalid_grant`, so does this server, and the grant ends;
    where it does not answer, the client gets `temporarily_unavailable`, nothing is consumed, and a retry may work.

    If this process renewed and then could not store what it got, a retry here gets the same tokens for five minutes.
    If the process died in between, the upstream sees the older refresh token again: one that forgives that goes on,
    one that does not ends the grant at the second try, and the person has to consent again.
    """

    def __init__(self, upstreams: Iterable[Upstream], *, clock: Clock = time.time) -> None:
        self._upstreams = {upstream.name: upstream for upstream in upstreams}
        self._clock = clock
        self._renewed: OrderedDict[str, KeptTokens] = OrderedDict()

    async def __call__(self, event: TokenExchange) -> TokenExchangeResult | None:
        """Renew the upstream tokens of a grant if that is needed. Raises OAuthError."""
        tokens = KeptTokens.read(event.props)
        if tokens is None:
            return None
        now = int(self._clock())
        wanted = _life_wanted(tokens, event.access_token_ttl)
        if wanted is None:
            return None
        if _left(tokens, now) >= wanted:
            return TokenExchangeResult(access_token_ttl=min(event.access_token_ttl, _left(tokens, now)))
        renewed = self._remembered(event, now) or await self._renew(tokens, event, now)
        left = event.access_token_ttl if renewed.expires_at is None else _left(renewed, now)
        if left <= 0:
            raise OAuthError("temporarily_unavailable", reason="the upstream issued a token that had ended")
        return TokenExchangeResult(
            props={**event.props, "upstream": renewed.members()},
            access_token_ttl=min(event.access_token_ttl, left),
        )

    async def _renew(self, tokens: KeptTokens, event: TokenExchange, now: int) -> KeptTokens:
        upstream = self._upstreams.get(tokens.provider)
        if upstream is None:
            # A setting that was forgotten must not end what cannot be had back.
            raise OAuthError("server_error", reason=f"there is no upstream {tokens.provider!r} any more")
        if tokens.refresh_token is None:
            return self._unrenewable(tokens, now)
        try:
            renewed = await upstream.refresh(tokens, now)
        except UpstreamUnavailable as error:
            raise OAuthError("temporarily_unavailable", reason=f"upstream {upstream.name}: {error.reason}") from error
        except UpstreamRefusal as error:
            if error.code == "invalid_grant":
                raise OAuthError("invalid_grant", reason=f"upstream {upstream.name} ended the sign-in") from error
            # Our own credentials, most likely: nothing that the client or the person could mend by consenting anew.
            raise OAuthError("temporarily_unavailable", reason=f"upstream {upstream.name}: {error}") from error
        self._remember(event, renewed)
        return renewed

    def _unrenewable(self, tokens: KeptTokens, now: int) -> KeptTokens:
        if _left(tokens, now) > 0:
            return tokens
        raise OAuthError("invalid_grant", reason=f"the sign-in at upstream {tokens.provider} has run out")

    def _remember(self, event: TokenExchange, renewed: KeptTokens) -> None:
        self._renewed.pop(event.idempotency_key, None)
        self._renewed[event.idempotency_key] = renewed
        while len(self._renewed) > _MOST_REMEMBERED or self._oldest_age(renewed.issued_at) > REMEMBERED_SECONDS:
            self._renewed.popitem(last=False)

    def _remembered(self, event: TokenExchange, now: int) -> KeptTokens | None:
        renewed = self._renewed.get(event.idempotency_key)
        return renewed if renewed is not None and 0 <= now - renewed.issued_at <= REMEMBERED_SECONDS else None

    def _oldest_age(self, now: int) -> int:
        return now - next(iter(self._renewed.values())).issued_at


def _life_wanted(tokens: KeptTokens, access_token_ttl: int) -> int | None:
    """How many seconds the upstream's token has to have left; None where it is not known to end."""
    if tokens.expires_at is None:
        return None
    return min(access_token_ttl, max(1, (tokens.expires_at - tokens.issued_at) // 2))


def _left(tokens: KeptTokens, now: int) -> int:
    return (tokens.expires_at or now) - now
