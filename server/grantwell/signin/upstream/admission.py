"""Whom of those that an upstream signs in are let in here; asked at every sign-in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import ConfigurationError
from .failures import NotAdmitted


class Admission:
    """The operator's lists of an OIDC issuer: e-mail domains, and groups; with both, both have to fit.

    Raises ConfigurationError for a domain that is none.
    """

    def __init__(self, *, domains: Iterable[str], groups: Iterable[str], groups_claim: str) -> None:
        self._domains = frozenset(_configured(domain) for domain in domains)
        self._groups = frozenset(groups)
        self._groups_claim = groups_claim

    @property
    def is_open(self) -> bool:
        """Whether there are no lists."""
        return not self._domains and not self._groups

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims that it has to see."""
        return (*(("email",) if self._domains else ()), *((self._groups_claim,) if self._groups else ()))

    def check(self, claims: Mapping[str, Any]) -> None:
        """Raises NotAdmitted."""
        if self._domains:
            self._check_domain(claims)
        if self._groups:
            found = claims.get(self._groups_claim)
            groups = [found] if isinstance(found, str) else found if isinstance(found, list) else []
            if not any(isinstance(group, str) and group in self._groups for group in groups):
                raise NotAdmitted("in none of the groups that are admitted")

    def _check_domain(self, claims: Mapping[str, Any]) -> None:
        # Some issuers say it as a string. Without it anybody may have put anybody's address there.
        verified = claims.get("email_verified")
        if verified is not True and verified != "true":
            raise NotAdmitted("the e-mail address is not verified")
        email = claims.get("email")
        if not isinstance(email, str) or email.count("@") != 1 or not email.isprintable() or " " in email:
            raise NotAdmitted("there is no usable e-mail address")
        # By equality with the whole domain: neither one that ends the same nor one that looks the same will do.
        if _in_ascii(email.partition("@")[2]) not in self._domains:
            raise NotAdmitted("the e-mail address is of another domain")


def _configured(domain: object) -> str:
    name = _in_ascii(domain) if isinstance(domain, str) and "@" not in domain else None
    if name is None or "." not in name:
        raise ConfigurationError("allowed_domains", f"{domain!r} is not a domain, such as example.com.")
    return name


def _in_ascii(domain: str) -> str | None:
    """A domain in lower case as it stands in the DNS; None for what is none."""
    # Not `lower` alone, which makes ASCII of a letter or two that only look like it.
    lower = "".join(character.lower() if character.isascii() else character for character in domain)
    try:
        name = lower.encode("idna").decode()
        # The codec takes many characters for others. Whoever means those others may write them.
        if not lower.isascii() and name.encode().decode("idna") != lower:
            return None
    except UnicodeError:
        return None
    labels = name.split(".")
    plain = name.isascii() and all(label.replace("-", "").isalnum() and len(label) < 64 for label in labels)
    return name if plain and not lower.endswith(".") else None
