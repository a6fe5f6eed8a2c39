"""Sign-in with any OpenID Connect issuer, found by its discovery document."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from ...config import CLOCK_SKEW
from ...crypto import BadSignature, KeySet, UnknownKey
from ...errors import ConfigurationError
from .addresses import is_usable
from .admission import Admission
from .attempts import Attempt
from .connection import Connection
from .discovery import Discovery, Metadata
from .failures import UpstreamRefusal, UpstreamUnavailable
from .id_tokens import IdToken, check_id_token, checked_subject, parse_id_token
from .identity import Identity, name_in
from .kept import KeptTokens
from .upstream import Upstream, checked_client_id, checked_parameters, checked_texts, secret_from

DEFAULT_SCOPES = ("openid", "profile", "email")

_NAMES = ("name", "preferred_username", "email")


class OIDC(Upstream):
    """An OpenID Connect issuer to sign in with (OpenID Connect Core 1.0, Discovery 1.0, RFC 7636, RFC 9207).

    `issuer` is exactly what its discovery document says. `client_id` and `client_secret` are what it calls this
    server; without a secret it is a public client there. The redirect URI to register there is the issuer of this
    server with `/signin/back/` and the name. Admitted are people with a verified e-mail address in `allowed_domains`,
    or in one of `allowed_groups` (by `groups_claim`), both if both are given; `everybody=True` admits whoever the
    issuer signs in. `keep_tokens` puts its tokens into the props of each grant: ask for `offline_access` among
    `scopes` where the issuer wants that for a refresh token. `authorize_parameters` are added to each request.

    Raises ConfigurationError, which names the setting.
    """

    def __init__(
        self,
        name: str,
        issuer: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        client_secret_file: str | os.PathLike[str] | None = None,
        label: str = "",
        scopes: Iterable[str] = DEFAULT_SCOPES,
        allowed_domains: Iterable[str] = (),
        allowed_groups: Iterable[str] = (),
        groups_claim: str = "groups",
        everybody: bool = False,
        keep_tokens: bool = False,
        authorize_parameters: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name, label, keeps_tokens=keep_tokens)
        if not is_usable(issuer):
            raise ConfigurationError("issuer", f"{issuer!r} is not an https URL without query and fragment.")
        self._issuer = issuer
        self._client_id = checked_client_id(client_id)
        secret = secret_from(client_secret, client_secret_file)
        self._has_secret = secret is not None
        # Section 3.1.2.1: without `openid` it would be no OpenID Connect.
        self._scopes = tuple(dict.fromkeys(("openid", *checked_texts("scopes", scopes))))
        self._admission = Admission(
            domains=checked_texts("allowed_domains", allowed_domains),
            groups=checked_texts("allowed_groups", allowed_groups),
            groups_claim=groups_claim,
        )
        if self._admission.is_open != everybody:
            raise ConfigurationError("everybody", "must be true, or allowed_domains or allowed_groups given; not both.")
        self._parameters = checked_parameters(authorize_parameters or {})
        self._connection = Connection(client_id=self._client_id, client_secret=secret)
        self._discovery = Discovery(issuer, self._connection)

    async def authorization_url(self, attempt: Attempt, now: int) -> str:
        """See `Upstream.authorization_url`."""
        metadata = await self._discovery.metadata(now)
        parameters = self._parameters | {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": " ".join(self._scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": create_s256_code_challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        if attempt.goal.is_fresh:
            asked = parameters.get("prompt", "").split(" ")
            parameters["prompt"] = " ".join(dict.fromkeys(["login", *filter(None, asked)]))
        url: str = add_params_to_uri(metadata.authorization_endpoint, list(parameters.items()))
        return url

    async def check_issuer(self, issuer: str | None, now: int) -> None:
        """See `Upstream.check_issuer`."""
        if issuer is None and (await self._discovery.metadata(now)).says_issuer:
            raise UpstreamRefusal("invalid_issuer", "the answer has no iss, which the issuer promised")
        if issuer not in (None, self._issuer):
            raise UpstreamRefusal("invalid_issuer", "the answer is of another issuer")

    async def identify(self, code: str, attempt: Attempt, now: int) -> Identity:
        """See `Upstream.identify`."""
        metadata = await self._discovery.metadata(now)
        answer = await self._connection.exchange_code(
            metadata.token_endpoint,
            code=code,
            redirect_uri=attempt.redirect_uri,
            verifier=attempt.verifier,
            auth_method=self._auth_method(metadata),
        )
        tokens = KeptTokens.issued(self.name, answer, now)
        id_token = parse_id_token(answer.get("id_token"))
        await self._check_signature(metadata, id_token, now)
        subject = check_id_token(
            id_token,
            issuer=self._issuer,
            client_id=self._client_id,
            nonce=attempt.nonce,
            access_token=tokens.access_token,
            now=now,
        )
        _check_freshness(id_token.claims, attempt)
        claims = await self._complete(metadata, id_token.claims, subject, tokens.access_token)
        self._admission.check(claims)
        return Identity(subject=subject, name=name_in(claims, *_NAMES), tokens=tokens if self.keeps_tokens else None)

    async def refresh(self, tokens: KeptTokens, now: int) -> KeptTokens:
        """See `Upstream.refresh`."""
        metadata = await self._discovery.metadata(now)
        answer = await self._connection.refresh(
            metadata.token_endpoint,
            refresh_token=tokens.refresh_token or "",
            auth_method=self._auth_method(metadata),
        )
        return KeptTokens.issued(self.name, answer, now, before=tokens)

    def _auth_method(self, metadata: Metadata) -> str:
        """How this server proves itself there: where both will do, by the one that has a single spelling."""
        if not self._has_secret:
            return "none"
        return "client_secret_post" if "client_secret_post" in metadata.auth_methods else "client_secret_basic"

    async def _check_signature(self, metadata: Metadata, id_token: IdToken, now: int) -> None:
        try:
            try:
                _verify(await self._discovery.keys(now), metadata, id_token)
            except UnknownKey:
                _verify(await self._discovery.keys(now, anew=True), metadata, id_token)
        except BadSignature as error:
            raise UpstreamRefusal("invalid_id_token", f"the ID token is refused: {error.reason}") from error

    async def _complete(
        self, metadata: Metadata, claims: Mapping[str, Any], subject: str, access_token: str
    ) -> Mapping[str, Any]:
        """The claims, with those of the UserInfo endpoint where one is missing that is needed (Core section 5.3)."""
        wanted = self._admission.claims
        is_complete = all(name in claims for name in wanted) and name_in(claims, *_NAMES) is not None
        if is_complete or metadata.userinfo_endpoint is None:
            return claims
        try:
            more = await self._connection.get(metadata.userinfo_endpoint, access_token=access_token)
        except UpstreamRefusal as error:
            raise UpstreamUnavailable(f"the UserInfo endpoint answered with {error.code}") from error
        # Section 5.3.2: or the answer may be about somebody else.
        if checked_subject(more) != subject:
            raise UpstreamRefusal("invalid_userinfo", "the UserInfo endpoint speaks of another subject")
        # Address and verification from one place: a pair made of two would say what neither of them said.
        source = more if "email" in more else claims
        return {**claims, **more, "email": source.get("email"), "email_verified": source.get("email_verified")}


def _verify(keys: KeySet, metadata: Metadata, id_token: IdToken) -> None:
    keys.verify(
        id_token.text,
        algorithm=id_token.algorithm,
        key_id=id_token.key_id,
        algorithms=metadata.algorithms,
    )


def _check_freshness(claims: Mapping[str, Any], attempt: Attempt) -> None:
    """That a fresh sign-in was one, where the issuer tells (Core section 2, `auth_time`)."""
    signed_in_at = claims.get("auth_time")
    if not attempt.goal.is_fresh or not isinstance(signed_in_at, int | float):
        return
    if signed_in_at < attempt.goal.started_at - CLOCK_SKEW:
        raise UpstreamRefusal("login_required", "the issuer did not ask for a fresh sign-in")
