"""What every flow is given: settings, store, keys and hooks; and how an event is told."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .. import hooks
from .._outbound.cache import Cache
from .._outbound.fetcher import Fetcher
from .._urls import parse_http_url
from ..config import Settings
from ..crypto import Keyring, KeySet, SecretKey
from ..errors import ConfigurationError, OAuthError
from ..hooks import (
    ClientRegistrationCallback,
    ErrorEvent,
    ExternalTokenResolver,
    Hook,
    TokenExchangeCallback,
    TokenExchangePolicy,
    TrustedIssuer,
)
from ..records import Client, Event
from ..store import Store
from .audit import Audit, new_event_id
from .uses import Uses

log = logging.getLogger("grantwell")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """The callables an embedder gave; None where it gave none."""

    token_exchange: TokenExchangeCallback | None = None
    client_registration: ClientRegistrationCallback | None = None
    resolve_external_token: ExternalTokenResolver | None = None
    token_exchange_policy: TokenExchangePolicy | None = None
    trusted_issuers: tuple[TrustedIssuer, ...] = ()
    on_error: Hook[ErrorEvent, OAuthError | None] | None = None
    on_event: Hook[Event, None] | None = None


@dataclass(frozen=True, slots=True)
class FetchedKeys:
    """The keys at a URL, and when they were fetched (seconds since 1970 UTC)."""

    keys: KeySet
    fetched_at: int


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends a request: its `Authorization` headers, and its IP address, None where it is not known."""

    authorization: tuple[bytes, ...]
    address: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The parts of one running server. `documents` and `key_sets` are what was fetched, by URL.

    `actor` and `address` are who does what is done with it, and from where, if that is not said with an event.
    """

    settings: Settings
    store: Store
    keyring: Keyring
    hooks: Hooks
    fetcher: Fetcher
    documents: Cache[Client]
    key_sets: Cache[FetchedKeys]
    uses: Uses = field(default_factory=Uses)
    audit: Audit = field(default_factory=Audit)
    actor: str = ""
    address: str | None = None

    @classmethod
    def of(
        cls, settings: Settings, store: Store, secret_key: SecretKey, hooks: Hooks, *, for_command: bool = False
    ) -> Context:
        """The parts that follow from the settings; a command is the operator's, and may end at any moment.

        Raises ConfigurationError for a hook that would never be asked.
        """
        if hooks.token_exchange_policy is not None and not settings.allow_token_exchange:
            raise ConfigurationError("token_exchange_policy", "needs allow_token_exchange=True.")
        own = [settings.issuer, *(resource.identifier for resource in settings.resources)]
        return cls(
            settings=settings,
            store=store,
            keyring=Keyring(settings.issuer, secret_key),
            hooks=hooks,
            # Neither this server nor its resources may be made to call themselves.
            fetcher=Fetcher(
                allowed_networks=settings.cimd_allowed_networks,
                refused_origins=frozenset(url.origin for text in own if (url := parse_http_url(text)) is not None),
            ),
            documents=Cache(settings.clock),
            key_sets=Cache(settings.clock),
            audit=Audit(at_once=for_command),
            actor="operator" if for_command else "",
        )

    def now(self) -> int:
        """Whole seconds since 1970 UTC; read once a request, and once more after a callback has run."""
        return int(self.settings.clock())

    def acting_as(self, actor: str, address: str | None) -> Context:
        """The same, of which the events say who did it, and from where."""
        return replace(self, actor=actor, address=address)

    async def tell(
        self,
        name: str,
        now: int,
        *,
        client_id: str | None = None,
        user_id: str | None = None,
        grant_id: str | None = None,
        reason: str = "",
        actor: str | None = None,
        address: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Log an event that was committed, keep it, and hand it to `on_event`, whose failure changes nothing."""
        log.info("%s client=%r user=%r grant=%r reason=%r", name, client_id, user_id, grant_id, reason)
        event = Event(
            event_id=new_event_id(now),
            name=name,
            at=now,
            client_id=client_id,
            user_id=user_id,
            grant_id=grant_id,
            reason=reason,
            actor=self.actor if actor is None else actor,
            address=address or self.address,
            details=details or {},
        )
        self.keep(event)
        if self.audit.at_once:
            await self.audit.flush(self.store)
        if self.hooks.on_event is None:
            return
        try:
            await hooks.call(self.hooks.on_event, event)
        except Exception:
            log.exception("on_event failed for %s", name)

    def keep(self, event: Event) -> None:
        """Let an event be found again, soon, and for `event_ttl`."""
        self.audit.note(self.store, event)
