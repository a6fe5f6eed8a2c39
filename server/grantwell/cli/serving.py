"""The server that a configuration describes, as one ASGI application."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import click
from starlette.applications import Starlette
from starlette.types import ASGIApp

from grantwell_storage import SQLStore

from .. import ConfigurationError, GrantwellError, OAuthProvider, SecretKey
from ..front import Front
from ..signin import Branding, SignIn
from ..signin.upstream import Upstream, UpstreamTokens, upstream_from
from .config import Complaint, Loaded, Rejected
from .config.fitting import front_of, oauth_of, resources_of
from .config.lines import KeyPath
from .deployment import Deployment
from .health import Health
from .readiness import STARTUP_FAILURE, Ready, announcing

T = TypeVar("T")

log = logging.getLogger("grantwell")


def create_app(loaded: Loaded, ready: Ready) -> ASGIApp:
    """The server as an ASGI application that sets `ready` once it serves; ends the process if it cannot."""
    try:
        deployment = Deployment.of(loaded.configuration.server)
        store = SQLStore(deployment.database_url)
        secret_key = SecretKey.file(deployment.key_file, older=deployment.older_secret_key_file)
        provider = provider_of(loaded, store, secret_key)
    except (GrantwellError, click.ClickException) as error:
        log.error("%s", error)
        raise SystemExit(STARTUP_FAILURE) from None
    return announcing(Health(provider, store), ready)


def checked(loaded: Loaded) -> None:
    """See whether the server can be made, without a database and a key of its own. Raises Rejected, with all of it."""
    store, secret_key = SQLStore(loaded.configuration.server.database_url), SecretKey.generate()
    _find_modules(loaded)
    configuration = loaded.configuration
    complaints: list[Complaint] = []

    def tried(make: Callable[[], T]) -> T | None:
        try:
            return make()
        except Rejected as rejected:
            complaints.extend(rejected.complaints)
            return None

    for number in range(len(configuration.api)):
        tried(partial(_behind, loaded, number))
    upstreams = [tried(partial(_upstream, loaded, number)) for number in range(len(configuration.upstream_signin))]
    known = [upstream for upstream in upstreams if upstream is not None]
    if len(known) == len(upstreams):
        tried(partial(_sign_in, loaded, store, secret_key, known))
    tried(partial(_hooks, loaded, known))
    if complaints:
        raise Rejected(complaints)
    provider_of(loaded, store, secret_key)


def provider_of(loaded: Loaded, store: SQLStore, secret_key: SecretKey) -> OAuthProvider:
    """The provider with everything that the configuration puts round it. Raises Rejected, ConfigurationError."""
    _find_modules(loaded)
    configuration = loaded.configuration
    apis = {api.prefix: _behind(loaded, number) for number, api in enumerate(configuration.api)}
    upstreams = [_upstream(loaded, number) for number in range(len(configuration.upstream_signin))]
    return OAuthProvider(
        issuer=configuration.server.issuer,
        store=store,
        secret_key=secret_key,
        api_handlers=apis,
        resources=resources_of(configuration),
        default_handler=_sign_in(loaded, store, secret_key, upstreams),
        **oauth_of(configuration),  # type: ignore[arg-type]  # each was validated under its name
        **_hooks(loaded, upstreams),
    )


def _find_modules(loaded: Loaded) -> None:
    if (folder := str(loaded.folder)) not in sys.path:
        sys.path.insert(0, folder)


def _hooks(loaded: Loaded, upstreams: Sequence[Upstream]) -> dict[str, Any]:
    named = loaded.configuration.hooks.model_dump(exclude_none=True)
    hooks = {name: _object(loaded, ("hooks", name), value) for name, value in named.items()}
    if any(upstream.keep_tokens for upstream in loaded.configuration.upstream_signin):
        hooks["token_exchange_callback"] = UpstreamTokens(upstreams)
    return hooks


def _sign_in(loaded: Loaded, store: SQLStore, secret_key: SecretKey, upstreams: Sequence[Upstream]) -> SignIn:
    pages = loaded.configuration.signin
    with _complaining(loaded, ("signin",)):
        branding = Branding(
            name=pages.name, logo=pages.logo, accent=pages.accent, templates=pages.templates, texts=pages.texts
        )
        return SignIn(store, secret_key, branding=branding, upstreams=upstreams, passwords=pages.passwords)


def _upstream(loaded: Loaded, number: int) -> Upstream:
    said = loaded.configuration.upstream_signin[number]
    settings: dict[str, Any] = {"kind": said.kind} | {key: getattr(said, key) for key in said.model_fields_set}
    if said.client_secret is not None:
        settings["client_secret"] = said.client_secret.get_secret_value()
    with _complaining(loaded, ("upstream_signin", number)):
        return upstream_from(settings)


def _behind(loaded: Loaded, number: int) -> ASGIApp:
    """What takes the calls of an `[[api]]` that passed the guard."""
    api = loaded.configuration.api[number]
    if api.upstream is not None:
        with _complaining(loaded, ("api", number)):
            return Front(api.upstream, **front_of(api))  # type: ignore[arg-type]  # each was validated under its name
    if api.app is None:
        # A proxy sends calls elsewhere, and asks the verify endpoint about each.
        return Starlette()
    app: ASGIApp = _object(loaded, ("api", number, "app"), api.app)
    return app


def _object(loaded: Loaded, path: KeyPath, name: str) -> Any:
    """What `module:attribute` names. Raises Rejected."""
    module, _, attributes = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except Exception as error:
        # Whatever a module of the operator raises, it is the operator who has to see it.
        sentence = f"cannot be had: {type(error).__name__}: {error}"
        raise Rejected([loaded.complaint(path, sentence)]) from error
    return found


@contextmanager
def _complaining(loaded: Loaded, section: KeyPath) -> Iterator[None]:
    """Say which key of a section it is that something else does not accept."""
    try:
        yield
    except ConfigurationError as error:
        # What belongs to an object of its own there is a key like others here.
        key = error.field.rpartition(".")[2]
        sentence = str(error).removeprefix(f"{error.field}: ")
        raise Rejected([loaded.complaint((*section, key), sentence)]) from error
