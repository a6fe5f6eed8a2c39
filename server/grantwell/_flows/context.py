"""What every flow is given: settings, store, keys and hooks; and how an event is told."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from .. import hooks
from ..config import Settings
from ..crypto import Keyring
from ..errors import OAuthError
from ..hooks import ClientRegistrationCallback, ErrorEvent, Event, ExternalTokenResolver, Hook, TokenExchangeCallback
from ..store import Store
from .uses import Uses

log = logging.getLogger("grantwell")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """The callables an embedder gave; None where it gave none."""

    token_exchange: TokenExchangeCallback | None = None
    client_registration: ClientRegistrationCallback | None = None
    resolve_external_token: ExternalTokenResolver | None = None
    on_error: Hook[ErrorEvent, OAuthError | None] | None = None
    on_event: Hook[Event, None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The parts of one running server."""

    settings: Settings
    store: Store
    keyring: Keyring
    hooks: Hooks
    uses: Uses = field(default_factory=Uses)

    def now(self) -> int:
        """Whole seconds since 1970 UTC; read once a request, and once more after a callback has run."""
        return int(self.settings.clock())

    async def tell(
        self,
        name: str,
        now: int,
        *,
        client_id: str | None = None,
        user_id: str | None = None,
        grant_id: str | None = None,
        reason: str = "",
    ) -> None:
        """Log an event that was committed and hand it to `on_event`, whose failure changes nothing."""
        log.info("%s client=%r user=%r grant=%r reason=%r", name, client_id, user_id, grant_id, reason)
        if self.hooks.on_event is None:
            return
        event = Event(name=name, at=now, client_id=client_id, user_id=user_id, grant_id=grant_id, reason=reason)
        try:
            await hooks.call(self.hooks.on_event, event)
        except Exception:
            log.exception("on_event failed for %s", name)
