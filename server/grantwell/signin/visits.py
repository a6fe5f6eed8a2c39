"""What the handlers of the pages are given: the parts of the server, and the request with the browser it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request

from .. import OAuthHelpers
from ..config import Settings
from ..crypto import Keyring, PasswordHasher, SecretKey
from ..records import Session
from ..store import AccountStore
from ..throttle import Limits, Throttle
from . import texts
from .accounts import Accounts
from .answers import Refusal
from .interactions import Interactions
from .pages import Places
from .sessions import Sessions

FAILED_SIGN_INS = Limits(purpose="signin", window=600, of_name=10, of_address=100)


class Site:
    """The parts of the pages of one server."""

    def __init__(self, oauth: OAuthHelpers, store: AccountStore, secret_key: SecretKey, hasher: PasswordHasher) -> None:
        self.oauth = oauth
        self.keyring = Keyring(self.settings.issuer, secret_key)
        self.accounts = Accounts(store, self.keyring, hasher, clock=self.settings.clock)
        self.sessions = Sessions(store, self.keyring, secure=self.settings.issuer_url.is_https)
        self.interactions = Interactions(store, self.keyring)
        self.throttle = Throttle(store, self.keyring, FAILED_SIGN_INS)
        base = self.settings.issuer_url.path
        self.places = Places(
            signin=f"{base}/signin",
            consent=f"{base}/consent",
            signout=f"{base}/signout",
            stylesheet=f"{base}/signin.css",
        )

    @property
    def settings(self) -> Settings:
        """The settings of the server."""
        return self.oauth.settings


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
            raise Refusal(400, texts.BAD_ADDRESS)
        return dict(parameters)
