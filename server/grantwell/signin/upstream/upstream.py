"""What every upstream is: a name, a button, a way there, a way back, and tokens that can be renewed."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path

from starlette.responses import Response

from ...errors import ConfigurationError
from ...records import Session
from ..visits import Routes, Site, Visit
from . import signing
from .attempts import Attempt
from .identity import Identity
from .kept import KeptTokens

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9\-]{0,30}[a-z0-9])?")
# What is ours to send: changed by a setting, it would take the protection away.
_RESERVED = frozenset(
    {"client_id", "client_secret", "response_type", "response_mode", "redirect_uri", "scope", "state", "nonce"}
    | {"code_challenge", "code_challenge_method", "request", "request_uri", "claims"}
)


class Upstream(ABC):
    """Somewhere else to sign in. `name` stands in addresses and user ids, `label` on the button.

    Where `keeps_tokens`, the tokens of a sign-in get into the props of the grant that is given next. All methods raise
    UpstreamUnavailable and UpstreamRefusal. Raises ConfigurationError for a name that cannot be one.
    """

    def __init__(self, name: str, label: str, *, keeps_tokens: bool) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError("name", f"{name!r} is not 1 to 32 of a-z, 0-9 and -, with - inside alone.")
        self.name = name
        if not isinstance(label, str):
            raise ConfigurationError("label", "must be a text.")
        self.label = label or name
        self.keeps_tokens = keeps_tokens

    def routes(self) -> Routes:
        """The pages that lead there and back."""
        return signing.routes_of(self)

    async def begin(self, site: Site, visit: Visit, session: Session, interaction_id: str) -> Response:
        """Send somebody there who is signed in already, for tokens for one more grant."""
        return await signing.begin(self, site, visit, session, interaction_id=interaction_id, to="", is_fresh=False)

    @abstractmethod
    async def authorization_url(self, attempt: Attempt, now: int) -> str:
        """Where to send the browser to."""

    @abstractmethod
    async def check_issuer(self, issuer: str | None, now: int) -> None:
        """Hold the `iss` that an answer came with against RFC 9207; None is an answer without one."""

    @abstractmethod
    async def identify(self, code: str, attempt: Attempt, now: int) -> Identity:
        """Who came back with this code. Raises NotAdmitted for somebody who is not let in."""

    @abstractmethod
    async def refresh(self, tokens: KeptTokens, now: int) -> KeptTokens:
        """Tokens in the place of these, which have a refresh token.

        An UpstreamRefusal with the code `invalid_grant` says that there will be none any more.
        """


def checked_client_id(client_id: object) -> str:
    """The id of this server at an upstream. Raises ConfigurationError."""
    if not isinstance(client_id, str) or not client_id or not client_id.isprintable():
        raise ConfigurationError("client_id", "must be what the upstream calls this server.")
    return client_id


def secret_from(secret: str | None, file: str | os.PathLike[str] | None) -> str | None:
    """The client secret, given or in a file, whose last line break is none of it. Raises ConfigurationError."""
    if file is None:
        return secret or None
    if secret is not None:
        raise ConfigurationError("client_secret_file", "and client_secret cannot both be given.")
    try:
        text = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError("client_secret_file", f"{file} cannot be read.") from error
    if not text:
        raise ConfigurationError("client_secret_file", f"{file} is empty.")
    return text


def checked_texts(field: str, texts: Iterable[str]) -> tuple[str, ...]:
    """A list of texts, none of them empty. Raises ConfigurationError, also for a single text, which is a list too."""
    listed = () if isinstance(texts, str) else tuple(texts)
    if isinstance(texts, str) or not all(isinstance(text, str) and text for text in listed):
        raise ConfigurationError(field, "must be a list of texts.")
    return listed


def checked_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """What an operator adds to the authorization request. Raises ConfigurationError."""
    if not isinstance(parameters, Mapping):
        raise ConfigurationError("authorize_parameters", "must be a table of texts.")
    for name, value in parameters.items():
        if name in _RESERVED or not isinstance(value, str):
            raise ConfigurationError("authorize_parameters", f"{name} cannot be given there.")
    return dict(parameters)
