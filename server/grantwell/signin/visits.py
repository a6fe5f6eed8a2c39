"""What the handlers of the pages are given: the parts of the server, and the request with the browser it came from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import Response

from .. import OAuthHelpers
from ..config import Settings
from ..crypto import Keyring, PasswordHasher, SecretKey
from ..records import Session
from ..store import AccountStore
from ..throttle import Limits, Throttle
from .accounts import Accounts
from .answers import Refusal
from .interactions import Interactions
from .rendering import Templates
from .sessions import Sessions
from .wording import Texts

FAILED_SIGN_INS = Limits(purpose="signin", window=600, of_name=10, of_address=100)


class Upstream(Protocol):
    """Somewhere else where people can sign in; its button leads to `/signin/with/NAME`."""

    @property
    def name(self) -> str:
        """What it is called in addresses."""

    @property
    def label(self) -> str:
        """What it is called on its button: "Continue with LABEL"."""

    @property
    def keeps_tokens(self) -> bool:
        """Whether its tokens go into the props of each grant."""

    def routes(self) -> Routes:
        """The pages that lead there and back."""

    async def begin(self, site: Site, visit: Visit, session: Session, interaction_id: str) -> Response:
        """Send somebody there who is signed in already, for tokens for one more grant."""


class Site:
    """The parts of the pages of one server. `passwords` tells whether people may sign in with one."""

    def __init__(
        self,
        oauth: OAuthHelpers,
        store: AccountStore,
        secret_key: SecretKey,
        *,
        hasher: PasswordHasher,
        templates: Templates,
        upstreams: Sequence[Upstream] = (),
        passwords: bool = True,
    ) -> None:
        self.oauth = oauth
        self.store = store
        self.templates = templates
        self.upstreams = tuple(upstreams)
        self.passwords = passwords
        self.keyring = Keyring(self.settings.issuer, secret_key)
        self.accounts = Accounts(store, self.keyring, hasher, clock=self.settings.clock, oauth=oauth)
        self.sessions = Sessions(store, self.keyring, secure=self.settings.issuer_url.is_https)
        self.interactions = Interactions(store, self.keyring)
        self.attempts = Interactions(store, self.keyring, "upstream")
        self.throttle = Throttle(store, self.keyring, FAILED_SIGN_INS)

    @property
    def texts(self) -> Texts:
        """What the pages say."""
        return self.templates.texts

    @property
    def settings(self) -> Settings:
        """The settings of the server."""
        return self.oauth.settings

    def path(self, route: str) -> str:
        """Where a page is: its route below the path of the issuer."""
        return f"{self.settings.issuer_url.path}{route}"

    def token_upstream(self, user_id: str) -> Upstream | None:
        """The upstream that signed this user in, if its tokens go into the props of their grants."""
        provider, colon, _ = user_id.partition(":")
        return next((u for u in self.upstreams if colon and u.name == provider and u.keeps_tokens), None)

    def render(self, template: str, /, **context: object) -> str:
        """A page from its template, which has `path`, `brand_name` and `has_logo` besides what it is given."""
        branding = self.templates.branding
        frame = {
            "path": self.path,
            "brand_name": branding.name or self.oauth.redirect_host(self.settings.issuer),
            "has_logo": branding.image is not None,
        }
        return self.templates.render(template, **frame, **context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request. `session` is that of its browser, `form` its fields if it is a POST, `now` its one clock read."""

    request: Request
    now: int
    session: Session | None
    form: ImmutableMultiDict[str, str]

    @property
    def user_id(self) -> str | None:
        """Who is signed in on this browser."""
        return None if self.session is None else self.session.user_id

    def query(self, *allowed: str) -> Mapping[str, str]:
        """The parameters in the address of a page: those allowed, once each. Raises Refusal for any other.

        So nobody gets used to sending a password or a decision in an address.
        """
        parameters = self.request.query_params.multi_items()
        names = [name for name, _ in parameters]
        if len(set(names)) != len(names) or not set(names) <= set(allowed):
            raise Refusal(400, "bad_address")
        return dict(parameters)


Handler: TypeAlias = Callable[[Site, Visit], Awaitable[Response]]
Routes: TypeAlias = Mapping[str, Mapping[str, Handler]]
