"""What may stand in `grantwell.toml`: its sections and keys, with their types, defaults and what they are for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from ...config import DAY, KNOWN_PRIVATE_USE_SCHEMES, configure
from .values import Duration, FilePath, Network, OrNone, PythonName

_LOOPBACK_ISSUER = "http://127.0.0.1"
# These are looked at together with the others of their kind, once all are known.
_TOGETHER = frozenset(
    {"default_scopes", "default_resources", "require_initial_access_token", "allow_client_management"}
)


class Section(BaseModel):
    """A table of the file: types as TOML has them, and no key that is not known."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Server(Section):
    """Where the server is, and what it keeps its data in."""

    issuer: str = Field(
        description="The URL that clients know this server by: https, or http on this machine alone, without a slash "
        "at its end."
    )
    host: str = Field(default="127.0.0.1", description="The address to listen at.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen at; 0 takes one that is free.")
    workers: int = Field(default=1, ge=1, le=64, description="How many processes serve.")
    database_url: str = Field(
        default="sqlite+aiosqlite:///grantwell.db", description="The database; a relative path is next to this file."
    )
    secret_key_file: FilePath | None = Field(
        default=None,
        description="The file with the deployment key, readable by its owner alone; next to the database, ending in "
        ".key, unless it is named.",
    )
    older_secret_key_file: FilePath | None = Field(
        default=None, description="The deployment key before, while it is being replaced."
    )
    trusted_proxies: list[Network] = Field(
        default=[], description="The addresses or networks of proxies whose X-Forwarded-For is believed."
    )
    access_log: bool = Field(default=True, description="Log each request, without its query.")
    shutdown_timeout: Annotated[int, Duration(1, 600)] = Field(
        default=10, description="How long requests may go on after the server was told to stop."
    )

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        if "@" in value:
            raise ValueError("must have no user name and no password")
        configure(issuer=value, prefixes=())
        return value


class OAuth(Section):
    """Endpoints, lifetimes and switches, with the names that `OAuthProvider` has for them."""

    authorize_endpoint: str = Field(default="/authorize", description="Where people are sent to.")
    token_endpoint: str = Field(default="/token", description="Where codes and refresh tokens are exchanged.")
    revocation_endpoint: str = Field(default="/revoke", description="Where clients give tokens back (RFC 7009).")
    introspection_endpoint: Annotated[str | None, OrNone()] = Field(
        default=None, description="Where resource servers ask what a token stands for (RFC 7662)."
    )
    verify_endpoint: Annotated[str | None, OrNone()] = Field(
        default=None, description="Where a proxy asks whether a call may pass, as nginx's auth_request does."
    )
    client_registration_endpoint: Annotated[str | None, OrNone()] = Field(
        default="/register", description="Where clients register themselves (RFC 7591)."
    )
    default_scopes: list[str] | None = Field(default=None, description="What a client gets that asks for no scope.")
    default_resources: list[str] | None = Field(
        default=None, description="What a token is for when a client names nothing."
    )
    code_ttl: Annotated[int, Duration(1, 600)] = Field(default=60, description="How long a code may be exchanged.")
    access_token_ttl: Annotated[int, Duration()] = Field(default=3600, description="How long an access token works.")
    refresh_token_ttl: Annotated[int | None, Duration(0), OrNone()] = Field(
        default=30 * DAY,
        description="How long a grant lasts; none for as long as nobody ends it, 0 for no refresh tokens.",
    )
    refresh_token_idle_ttl: Annotated[int | None, Duration(), OrNone()] = Field(
        default=None, description="How long a refresh token works that nobody uses."
    )
    refresh_replay_window: Annotated[int, Duration(0, 600)] = Field(
        default=60, description="How long the refresh token before is answered with the same successor."
    )
    callback_timeout: float = Field(default=10.0, description="How many seconds a callback of [hooks] may take.")
    event_ttl: Annotated[int | None, Duration(), OrNone()] = Field(
        default=90 * DAY, description="For how long it is kept what happened; none for good."
    )
    unused_client_ttl: Annotated[int | None, Duration(), OrNone()] = Field(
        default=90 * DAY, description="After how long a client that registered itself goes if nobody uses it."
    )
    max_unused_clients: Annotated[int | None, OrNone()] = Field(
        default=1000, description="How many clients that nobody uses one network may have registered."
    )
    require_initial_access_token: bool = Field(
        default=False,
        description="Let clients register with a token of `grantwell clients initial-access-token` alone.",
    )
    allow_client_management: bool = Field(
        default=False, description="Let clients read, change and delete their registration (RFC 7592)."
    )
    client_id_metadata_documents: bool = Field(
        default=True, description="Accept clients whose id is the URL of a document."
    )
    cimd_allowed_networks: list[Network] = Field(
        default=[], description="Private networks that documents and keys of clients may be fetched from."
    )
    allow_token_exchange: bool = Field(
        default=False, description="Let clients exchange tokens for narrower ones (RFC 8693)."
    )
    private_use_schemes: list[str] = Field(
        default=list(KNOWN_PRIVATE_USE_SCHEMES),
        description="Schemes without a dot that redirect URIs of applications may have.",
    )

    @field_validator("*")
    @classmethod
    def _alone(cls, value: Any, info: ValidationInfo) -> Any:
        """A value is right if a server could be made with it and with the default of everything else."""
        if info.field_name is not None and info.field_name not in _TOGETHER:
            configure(issuer=_LOOPBACK_ISSUER, prefixes=(), **{info.field_name: value})
        return value


class SignInPages(Section):
    """How people sign in, and how the pages look."""

    passwords: bool = Field(default=True, description="Let people sign in with a password of `grantwell users`.")
    name: str = Field(default="", description="What stands on every page; the host of the issuer, unless it is named.")
    logo: FilePath | None = Field(default=None, description="A PNG, JPEG or WebP file of at most 256 KiB.")
    accent: str = Field(default="#0b57d0", description="The colour of buttons and links.")
    templates: FilePath | None = Field(
        default=None, description="A folder of templates that are taken before those of the same name here."
    )
    texts: dict[str, str] = Field(default={}, description="Single texts of the pages, in other words.")


class UpstreamSignIn(Section):
    """One for each place that people may sign in with: an OpenID Connect issuer, or GitHub."""

    kind: Literal["oidc", "github"] = Field(default="oidc", description="What it speaks.")
    name: str = Field(description="Short, in lower case: it is part of the redirect URI and of the ids of users.")
    label: str = Field(default="", description="What stands on its button.")
    issuer: str | None = Field(default=None, description="Of oidc: its URL, exactly as its discovery document says.")
    client_id: str = Field(description="What it calls this server.")
    client_secret: SecretStr | None = Field(
        default=None, description="The secret that it gave to this server.", json_schema_extra={"secret": True}
    )
    client_secret_file: FilePath | None = Field(default=None, description="The file with that secret.")
    scopes: list[str] = Field(default=[], description="What it is asked for; of oidc, openid is always among it.")
    everybody: bool = Field(default=False, description="Admit whoever it signs in.")
    allowed_domains: list[str] = Field(
        default=[], description="Of oidc: admit people with a verified e-mail address in one of these domains."
    )
    allowed_groups: list[str] = Field(default=[], description="Of oidc: admit people in one of these groups.")
    groups_claim: str = Field(default="groups", description="Of oidc: the claim with the groups.")
    allowed_organizations: list[str] = Field(default=[], description="Of github: admit members of these.")
    allowed_users: list[str] = Field(
        default=[], description="Of github: admit these, by login or, better, by # and the number of the account."
    )
    keep_tokens: bool = Field(default=False, description="Put its tokens into the props of each grant, kept fresh.")
    authorize_parameters: dict[str, str] = Field(default={}, description="Of oidc: what else to ask with.")
    web: str = Field(default="https://github.com", description="Of github: where people sign in.")
    api: str = Field(default="https://api.github.com", description="Of github: where its API is.")


class Hooks(Section):
    """Python objects that take part, as "module:attribute"; modules are looked for next to this file first."""

    token_exchange_callback: PythonName | None = Field(default=None, description="Runs at each exchange and refresh.")
    token_exchange_policy: PythonName | None = Field(
        default=None, description="Decides on token exchange across clients."
    )
    client_registration_callback: PythonName | None = Field(default=None, description="Decides on each registration.")
    resolve_external_token: PythonName | None = Field(default=None, description="Accepts tokens of another server.")
    trusted_issuers: PythonName | None = Field(
        default=None, description="A list of TrustedIssuer: identity providers whose assertions are accepted."
    )
    on_event: PythonName | None = Field(default=None, description="Is told what happened.")
    on_error: PythonName | None = Field(default=None, description="Is told of each error answer.")


class Protected(Section):
    """What a resource says of itself."""

    name: str | None = Field(default=None, description="What people are shown.")
    scopes: dict[str, str] = Field(
        default={}, description="Each scope with its description for the consent page, as a table of texts."
    )
    implies: dict[str, list[str]] = Field(default={}, description="For a scope, those that it includes.")


class Api(Protected):
    """One for each path that takes an access token, with what is behind it: an `upstream`, an `app`, or, where a proxy
    asks the `verify_endpoint`, neither."""

    prefix: str = Field(description="The path that everything of this API is below.")
    upstream: str | None = Field(
        default=None,
        description="The URL of a server that calls are sent on to, with who calls in X-Grantwell-… headers.",
    )
    app: PythonName | None = Field(
        default=None, description='An ASGI application, as "module:attribute", looked for next to this file first.'
    )
    identifier: str | None = Field(
        default=None, description="The URL that tokens are for; the issuer and the prefix, unless it is named."
    )
    strip_prefix: bool = Field(default=False, description="Of upstream: take the prefix off the path.")
    connect_timeout: Annotated[int, Duration(1, 600)] = Field(
        default=5, description="Of upstream: how long a connection may take."
    )
    response_timeout: Annotated[int, Duration(1, DAY)] = Field(
        default=60, description="Of upstream: how long an answer may take to begin."
    )
    idle_timeout: Annotated[int | None, Duration(1, DAY), OrNone()] = Field(
        default=300, description="Of upstream: how long nothing may move in either direction."
    )
    max_connections: int = Field(default=500, ge=1, le=100_000, description="Of upstream: how many at a time.")
    max_message_bytes: int = Field(
        default=16 * 1024 * 1024, ge=1024, description="Of upstream: how long a message of a websocket may be."
    )

    @field_validator("upstream")
    @classmethod
    def _upstream(cls, value: str | None) -> str | None:
        if value is not None and "@" in value:
            raise ValueError("must have no user name and no password")
        return value


class Resource(Protected):
    """One for each resource that is served elsewhere and introspects its tokens."""

    identifier: str = Field(description="The URL that tokens are for.")


class Configuration(Section):
    """A whole file."""

    server: Server
    oauth: OAuth = Field(default_factory=OAuth)
    signin: SignInPages = Field(default_factory=SignInPages)
    hooks: Hooks = Field(default_factory=Hooks)
    upstream_signin: list[UpstreamSignIn] = Field(default=[])
    api: list[Api] = Field(default=[])
    resource: list[Resource] = Field(default=[])
