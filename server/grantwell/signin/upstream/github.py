"""Sign-in with GitHub, whose OAuth is not OpenID Connect: who came back is asked of its API."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from ...errors import ConfigurationError
from .addresses import checked
from .attempts import Attempt
from .connection import Connection
from .failures import NotAdmitted, UpstreamRefusal, UpstreamUnavailable
from .identity import Identity, name_in
from .kept import KeptTokens
from .upstream import Upstream, checked_client_id, checked_texts, secret_from

# In the words of GitHub for what RFC 6749 section 5.2 calls `invalid_grant`.
_DEAD_CODES = frozenset({"bad_refresh_token", "bad_verification_code"})


class GitHub(Upstream):
    """GitHub, or a GitHub Enterprise Server by `web` and `api`, to sign in with.

    The redirect URI to register there is the issuer of this server with `/signin/back/` and the name. Admitted are
    active members of one of `allowed_organizations`, and `allowed_users`: a login, or better `#` and the number of an
    account, which nobody else can take over. `everybody=True` admits every account. People are known by their number.
    `keep_tokens` puts the tokens into the props of each grant; `scopes` are for those, in addition to what signing in
    takes.

    Raises ConfigurationError, which names the setting.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str | None = None,
        *,
        name: str = "github",
        client_secret_file: str | os.PathLike[str] | None = None,
        label: str = "GitHub",
        scopes: Iterable[str] = (),
        allowed_organizations: Iterable[str] = (),
        allowed_users: Iterable[str] = (),
        everybody: bool = False,
        keep_tokens: bool = False,
        web: str = "https://github.com",
        api: str = "https://api.github.com",
    ) -> None:
        super().__init__(name, label, keeps_tokens=keep_tokens)
        self._client_id = checked_client_id(client_id)
        secret = secret_from(client_secret, client_secret_file)
        if secret is None:
            raise ConfigurationError("client_secret", "must be given: GitHub knows no clients without one.")
        self._organizations = checked_texts("allowed_organizations", allowed_organizations)
        users = checked_texts("allowed_users", allowed_users)
        self._users = frozenset(user.lower() for user in users)
        if bool(self._organizations or users) == everybody:
            raise ConfigurationError(
                "everybody", "must be true, or allowed_organizations or allowed_users given; not both."
            )
        reading = ("read:user", *(("read:org",) if self._organizations else ()))
        self._scopes = tuple(dict.fromkeys((*reading, *checked_texts("scopes", scopes))))
        self._web = checked("web", web)
        self._api = checked("api", api)
        self._connection = Connection(client_id=self._client_id, client_secret=secret)

    async def authorization_url(self, attempt: Attempt, now: int) -> str:
        """See `Upstream.authorization_url`."""
        parameters = {
            "client_id": self._client_id,
            "redirect_uri": attempt.redirect_uri,
            "response_type": "code",
            "scope": " ".join(self._scopes),
            "state": attempt.state,
            "code_challenge": create_s256_code_challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        if attempt.goal.is_fresh:
            parameters["prompt"] = "select_account"
        url: str = add_params_to_uri(f"{self._web}/login/oauth/authorize", list(parameters.items()))
        return url

    async def check_issuer(self, issuer: str | None, now: int) -> None:
        """See `Upstream.check_issuer`. GitHub promises no `iss`; one that it would send is its own."""
        if issuer not in (None, self._web, f"{self._web}/login/oauth"):
            raise UpstreamRefusal("invalid_issuer", "the answer is of another issuer")

    async def identify(self, code: str, attempt: Attempt, now: int) -> Identity:
        """See `Upstream.identify`."""
        answer = await self._connection.exchange_code(
            self._token_endpoint,
            code=code,
            redirect_uri=attempt.redirect_uri,
            verifier=attempt.verifier,
            auth_method="client_secret_post",
        )
        tokens = KeptTokens.issued(self.name, answer, now)
        try:
            account = await self._connection.get(f"{self._api}/user", access_token=tokens.access_token)
        except UpstreamRefusal as error:
            raise UpstreamUnavailable(f"the account was answered with {error.code}") from error
        number, login = account.get("id"), account.get("login")
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(login, str):
            raise UpstreamUnavailable("the account has no id or no login")
        await self._check_admission(number, login, tokens.access_token)
        return Identity(
            subject=str(number), name=name_in(account, "name", "login"), tokens=tokens if self.keeps_tokens else None
        )

    async def refresh(self, tokens: KeptTokens, now: int) -> KeptTokens:
        """See `Upstream.refresh`. Only the tokens of a GitHub App can be refreshed."""
        try:
            answer = await self._connection.refresh(
                self._token_endpoint, refresh_token=tokens.refresh_token or "", auth_method="client_secret_post"
            )
        except UpstreamRefusal as error:
            if error.code in _DEAD_CODES:
                raise UpstreamRefusal("invalid_grant", error.code) from error
            raise
        return KeptTokens.issued(self.name, answer, now, before=tokens)

    @property
    def _token_endpoint(self) -> str:
        return f"{self._web}/login/oauth/access_token"

    async def _check_admission(self, number: int, login: str, access_token: str) -> None:
        if not (self._organizations or self._users):
            return
        # No login begins with `#`.
        if not self._users.isdisjoint({f"#{number}", login.lower()}):
            return
        for organization in self._organizations:
            if await self._is_member(organization, access_token):
                return
        raise NotAdmitted("neither a user nor in an organization that is admitted")

    async def _is_member(self, organization: str, access_token: str) -> bool:
        url = f"{self._api}/user/memberships/orgs/{quote(organization, safe='')}"
        try:
            membership: dict[str, Any] = await self._connection.get(url, access_token=access_token)
        except UpstreamRefusal:
            return False
        # Somebody who was invited and has not answered is "pending".
        return membership.get("state") == "active"
