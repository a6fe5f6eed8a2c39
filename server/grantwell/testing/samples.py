"""Made-up records and transitions for the suite. A sample is what its labels say: the same ones give the same bytes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Protocol

from ..records import (
    AccessToken,
    Client,
    ClientSecret,
    Code,
    Digest,
    Event,
    Grant,
    InitialAccessToken,
    Interaction,
    RefreshToken,
    RetiredToken,
    SealedProps,
    Session,
    User,
)
from ..store import (
    AccountStore,
    Claim,
    DirectGrant,
    InteractionKey,
    LeaseRequest,
    LiveAccessToken,
    NewAccessToken,
    NewGrant,
    NewInteraction,
    Redemption,
    Registration,
    Rotation,
    Store,
)

NOW = 1_750_000_000
CODE_TTL = 60
ACCESS_TTL = 3600
GRANT_TTL = 30 * 86_400

CLIENT = "client-1"
USER = "ada"
GRANT = "grant-1"


class CompleteStore(Store, AccountStore, Protocol):
    """Both ports in one object, which is what the suite tests."""


def digest(label: str) -> Digest:
    """Stands for the digest of a secret."""
    return Digest(hashlib.sha256(label.encode()).digest())


def client(client_id: str = CLIENT, **changes: Any) -> Client:
    """A client that registered itself."""
    sample = Client(
        client_id=client_id,
        origin="registration",
        name="Notes é 日本",
        redirect_uris=("https://notes.example/callback", "http://127.0.0.1/callback"),
        grant_types=("authorization_code", "refresh_token"),
        response_types=("code",),
        token_endpoint_auth_method="client_secret_basic",  # noqa: S106
        scopes=("notes:read", "notes:write"),
        metadata={"client_uri": "https://notes.example", "contacts": ["a@notes.example"], "client_name#de": "Zettel"},
        secrets=(
            ClientSecret(digest=digest("old secret"), expires_at=NOW + 60),
            ClientSecret(digest=digest("new secret"), expires_at=None),
        ),
        created_at=NOW,
        last_used_at=None,
        version=1,
        mac=digest("client mac"),
        jwks={"keys": [{"kty": "EC", "kid": "é"}]},
        jwks_uri="https://notes.example/jwks",
        introspects=("https://api.example/mcp",),
        registration_access=digest("registration access"),
        registered_from=digest("address"),
    )
    return replace(sample, **changes)


def registration(client_id: str, *, initial_access: str | None = None, now: int = NOW, **changes: Any) -> Registration:
    """A client that registers itself from "address", where there may be three in a day."""
    sample = Registration(
        client=client(client_id, created_at=now),
        most_unused=3,
        since=now - 86_400,
        initial_access=None if initial_access is None else digest(initial_access),
        now=now,
    )
    return replace(sample, **changes)


def initial_access(label: str, **changes: Any) -> InitialAccessToken:
    """What lets a client register."""
    sample = InitialAccessToken(
        digest=digest(label), created_at=NOW, expires_at=NOW + 600, mac=digest("mac of " + label)
    )
    return replace(sample, **changes)


def claim(label: str, **changes: Any) -> Claim:
    """Something that may be used once."""
    return replace(Claim(key=digest(label), expires_at=NOW + 60), **changes)


def sealed(version: int) -> SealedProps:
    """A props version."""
    return SealedProps(version=version, ciphertext=b"\x00ciphertext %d" % version)


def access(label: str, **changes: Any) -> AccessToken:
    """An access token."""
    sample = AccessToken(
        digest=digest(label),
        scopes=("notes:read",),
        audience=("https://api.example/mcp",),
        issued_at=NOW,
        expires_at=NOW + ACCESS_TTL,
        props_version=1,
        wrapped_key=b"wrapped for " + label.encode(),
        mac=digest("mac of " + label),
    )
    return replace(sample, **changes)


def refresh(label: str, **changes: Any) -> RefreshToken:
    """A refresh token."""
    sample = RefreshToken(
        digest=digest(label),
        issued_at=NOW,
        expires_at=NOW + GRANT_TTL,
        props_version=1,
        wrapped_key=b"wrapped for " + label.encode(),
        mac=digest("mac of " + label),
    )
    return replace(sample, **changes)


def consent(
    grant_id: str = GRANT,
    *,
    user_id: str | None = USER,
    client_id: str = CLIENT,
    redirect_uri: str | None = "https://notes.example/callback",
    resources: tuple[str, ...] = ("https://api.example/mcp",),
    interaction: InteractionKey | None = None,
    now: int = NOW,
) -> NewGrant:
    """A consent, whose code and props version 1 belong to `grant_id`."""
    return NewGrant(
        grant=Grant(
            grant_id=grant_id,
            user_id=user_id,
            client_id=client_id,
            scopes=("notes:read", "notes:write"),
            resources=resources,
            redirect_uri=redirect_uri,
            metadata={"device": {"name": "phone é"}},
            created_at=now,
            exchanged_at=None,
            expires_at=now + CODE_TTL,
            last_used_at=None,
            revoked_at=None,
            revoked_reason=None,
        ),
        code=Code(
            digest=digest(f"code of {grant_id}"),
            code_challenge="challenge",
            issued_at=now,
            expires_at=now + CODE_TTL,
            redeemed_at=None,
            props_version=1,
            wrapped_key=b"wrapped for code",
            mac=digest(f"mac of code of {grant_id}"),
        ),
        props=sealed(1),
        interaction=interaction,
        now=now,
    )


def direct(grant_id: str = GRANT, *, now: int = NOW, user_id: str | None = USER, **changes: Any) -> DirectGrant:
    """A grant that begins with access token "a1" of the grant, and uses nothing up."""
    pending = consent(grant_id, user_id=user_id, redirect_uri=None, now=now)
    sample = DirectGrant(
        grant=replace(pending.grant, expires_at=now + ACCESS_TTL, exchanged_at=now, last_used_at=now),
        access=access("a1", issued_at=now, expires_at=now + ACCESS_TTL),
        props=pending.props,
        claim=None,
        parent=None,
        keep_newest=None,
        now=now,
    )
    return replace(sample, **changes)


def redemption(grant_id: str = GRANT, *, now: int = NOW, **changes: Any) -> Redemption:
    """The exchange of that code for refresh token "r1" and access token "a1" of the grant."""
    sample = Redemption(
        grant_id=grant_id,
        code=digest(f"code of {grant_id}"),
        now=now,
        expires_at=now + GRANT_TTL,
        family=digest(f"family of {grant_id}"),
        refresh=refresh("r1", issued_at=now, expires_at=now + GRANT_TTL),
        access=access("a1", issued_at=now, expires_at=now + ACCESS_TTL),
        new_props=(),
        replaces=False,
        keep_newest=None,
    )
    return replace(sample, **changes)


def rotation(generation: int, grant_id: str = GRANT, *, now: int = NOW, **changes: Any) -> Rotation:
    """The refresh that follows `generation`: "r2" and "a2" after generation 1."""
    following = generation + 1
    sample = Rotation(
        grant_id=grant_id,
        generation=generation,
        now=now,
        expires_at=NOW + GRANT_TTL,
        current=refresh(f"r{following}", issued_at=now),
        previous=refresh(f"r{generation}"),
        seal=b"sealed answer %d" % generation,
        seal_until=now + 60,
        retired=(RetiredToken(digest=digest(f"r{generation - 1}"), retired_at=now),),
        access=access(f"a{following}", issued_at=now, expires_at=now + ACCESS_TTL),
        new_props=(),
    )
    return replace(sample, **changes)


def more(label: str, *, generation: int = 1, now: int = NOW, **changes: Any) -> NewAccessToken:
    """One more access token of the grant."""
    token = access(label, issued_at=now, expires_at=now + ACCESS_TTL)
    sample = NewAccessToken(grant_id=GRANT, generation=generation, access=token, parent=None, now=now)
    return replace(sample, **changes)


def lease(lease_id: str, *, generation: int = 1, now: int = NOW, until: int = NOW + 15) -> LeaseRequest:
    """The wish to run the callback for the grant."""
    return LeaseRequest(grant_id=GRANT, generation=generation, lease_id=lease_id, now=now, until=until)


def user(user_id: str = USER, **changes: Any) -> User:
    """A user."""
    sample = User(
        user_id=user_id,
        password_hash="$argon2id$v=19$m=19456,t=2,p=1$made$up",  # noqa: S106
        is_admin=False,
        created_at=NOW,
        disabled_at=None,
        version=1,
        mac=digest("mac of user"),
        name="Ada é 日本",
    )
    return replace(sample, **changes)


def session(label: str, **changes: Any) -> Session:
    """A browser on which nobody has signed in."""
    sample = Session(
        digest=digest(label),
        user_id=None,
        created_at=NOW,
        expires_at=NOW + 3600,
        mac=digest("mac of " + label),
        user_agent="Browser é/1.0",
        address="192.0.2.1",
        sealed=b"\x00sealed in " + label.encode(),
    )
    return replace(sample, **changes)


def event(label: str, **changes: Any) -> Event:
    """Something that happened."""
    sample = Event(
        event_id=label,
        name="grant_issued",
        at=NOW,
        client_id=CLIENT,
        user_id=USER,
        grant_id=GRANT,
        reason="because é",
        actor=f"user:{USER}",
        address="2001:db8::1",
        reference="7KQ2-M9XD",
        details={"scope": ["notes:read"], "é": None},
    )
    return replace(sample, **changes)


def waiting(label: str, of_session: str, **changes: Any) -> NewInteraction:
    """An authorization request that waits on a browser."""
    sample = Interaction(
        digest=digest(label),
        session=digest(of_session),
        request='{"client_id": "client-1"}',
        created_at=NOW,
        expires_at=NOW + 600,
        closed_at=None,
    )
    return NewInteraction(interaction=replace(sample, **changes), now=NOW)


def key(label: str, of_session: str) -> InteractionKey:
    """The key of such a request."""
    return InteractionKey(digest=digest(label), session=digest(of_session))


async def given_consent(store: CompleteStore, new: NewGrant | None = None) -> NewGrant:
    """Store a consent, and its client if that is missing."""
    new = new or consent()
    if await store.get_client(new.grant.client_id) is None:
        await store.add_client(client(new.grant.client_id))
    assert await store.add_grant(new) == "added"
    return new


async def given_exchanged(
    store: CompleteStore, new: NewGrant | None = None, exchange: Redemption | None = None
) -> Redemption:
    """Store a consent and exchange its code in the same second."""
    new = await given_consent(store, new)
    exchange = exchange or redemption(new.grant.grant_id, now=new.now)
    assert await store.redeem_code(exchange) == "redeemed"
    return exchange


async def given_browser(store: CompleteStore, label: str = "browser", *, user_id: str | None = USER) -> None:
    """Store a browser session with an open interaction "request"; the user is there and signed in, if one is named."""
    if user_id is not None:
        await store.add_user(user(user_id))
    await store.add_session(session(label, user_id=user_id))
    assert await store.add_interaction(waiting("request", label))


async def live(store: CompleteStore, label: str, grant_id: str = GRANT, *, now: int = NOW) -> LiveAccessToken | None:
    """The access token of this label, if it is good."""
    return await store.get_access_token(grant_id, digest(label), now)
