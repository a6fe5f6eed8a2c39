"""The tokens of an upstream, as the encrypted props of a grant have them: `props["upstream"]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from .failures import UpstreamUnavailable

_MAX_LENGTH = 32_768
_MAX_SECONDS = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTokens:
    """What the upstream `provider` issued at `issued_at`; instants are seconds since 1970 UTC, None is no end known."""

    provider: str
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    token_type: str
    scope: str | None
    issued_at: int
    expires_at: int | None

    @classmethod
    def issued(cls, provider: str, answer: Mapping[str, Any], now: int, *, before: KeptTokens | None = None) -> Self:
        """Those in the answer of a token endpoint (RFC 6749 section 5.1); what it leaves out stays as `before`.

        Raises UpstreamUnavailable for what is no such answer.
        """
        if str(answer.get("token_type", "Bearer")).lower() != "bearer":
            raise UpstreamUnavailable("the token endpoint answered with another kind of token")
        access_token = _text(answer, "access_token", None)
        if access_token is None:
            raise UpstreamUnavailable("the token endpoint answered without a token")
        refresh_token = _text(answer, "refresh_token", before.refresh_token if before else None)
        scope = _text(answer, "scope", before.scope if before else None)
        seconds = _seconds(answer.get("expires_in"))
        return cls(
            provider=provider,
            access_token=access_token,
            refresh_token=refresh_token,
            token_type="Bearer",  # noqa: S106
            scope=scope,
            issued_at=now,
            expires_at=None if seconds is None else now + seconds,
        )

    @classmethod
    def read(cls, props: object) -> Self | None:
        """Those in the props of a grant; None where there are none of ours."""
        members = props.get("upstream") if isinstance(props, Mapping) else None
        if not isinstance(members, Mapping) or set(members) != set(cls.__slots__):
            return None
        return cls(**members)

    def members(self) -> dict[str, Any]:
        """As the member `upstream` of props."""
        return asdict(self)


def _text(answer: Mapping[str, Any], name: str, otherwise: str | None) -> str | None:
    """A member of an answer; one that is empty or not there says nothing."""
    value = answer.get(name) or otherwise
    if value is not None and not (isinstance(value, str) and len(value) <= _MAX_LENGTH):
        raise UpstreamUnavailable(f"the token endpoint answered with an unusable {name}")
    return value


def _seconds(value: object) -> int | None:
    """`expires_in`, which some say as a string; what cannot be read says nothing."""
    text = str(value)
    return min(int(text), _MAX_SECONDS) if text.isascii() and text.isdigit() and len(text) < 12 else None
