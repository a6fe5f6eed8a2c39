"""The issuers whose identity assertions are accepted: named by the operator, checked at start."""

from __future__ import annotations

from collections.abc import Iterable

from .._urls import parse_http_url
from ..config import SIGNATURE_ALGORITHMS
from ..errors import ConfigurationError
from ..hooks import TrustedIssuer


def checked_issuers(issuers: Iterable[TrustedIssuer]) -> tuple[TrustedIssuer, ...]:
    """The trusted issuers of a server. Raises ConfigurationError, which names the field."""
    checked = tuple(issuers)
    if any(not isinstance(trusted, TrustedIssuer) for trusted in checked):
        raise ConfigurationError("trusted_issuers", "must be a list of TrustedIssuer.")
    if len({trusted.issuer for trusted in checked}) < len(checked):
        raise ConfigurationError("trusted_issuers", "names an issuer twice.")
    for trusted in checked:
        for name in ("issuer", "jwks_uri"):
            url = parse_http_url(getattr(trusted, name))
            if url is None or not url.is_https or url.fragment is not None:
                raise ConfigurationError(
                    "trusted_issuers", f"the {name} {getattr(trusted, name)!r} is not an https URL."
                )
        if not trusted.algorithms or not set(trusted.algorithms) <= set(SIGNATURE_ALGORITHMS):
            raise ConfigurationError("trusted_issuers", f"algorithms must be among {', '.join(SIGNATURE_ALGORITHMS)}.")
        if not callable(trusted.map_claims):
            raise ConfigurationError("trusted_issuers", "map_claims must be callable.")
    return checked
