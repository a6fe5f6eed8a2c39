"""Rows to records. A row is not trusted: a value that its column cannot hold makes it count as absent."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar, get_args

from grantwell.records import (
    AccessToken,
    AuthMethod,
    Client,
    ClientOrigin,
    ClientSecret,
    Code,
    Digest,
    Event,
    Grant,
    InitialAccessToken,
    Interaction,
    RefreshState,
    RefreshToken,
    RetiredToken,
    RevocationReason,
    SealedProps,
    Session,
    User,
)

R = TypeVar("R")
Row = Sequence[Any]

logger = logging.getLogger("grantwell.storage")

_AUTH_METHODS = frozenset(get_args(AuthMethod))
_ORIGINS = frozenset(get_args(ClientOrigin))
_REASONS = frozenset(get_args(RevocationReason))


class Damaged(ValueError):
    """A stored value is not of the kind that its column holds."""


def readable(decode: Callable[[Row], R], row: Row | None) -> R | None:
    """The record of a row; None if there is no row, or a damaged one."""
    if row is None:
        return None
    try:
        return decode(row)
    except Damaged as damage:
        _report(decode.__name__.removeprefix("to_"), str(damage), row[0])
        return None


def all_readable(decode: Callable[[Row], R], rows: Iterable[Row]) -> tuple[R, ...]:
    """The records of those rows that are not damaged."""
    records = (readable(decode, row) for row in rows)
    return tuple(record for record in records if record is not None)


@lru_cache(maxsize=256)
def _report(kind: str, damage: str, key: object) -> None:
    """Log a damaged row, once for each `key`, and without its values: they may be personal."""
    logger.error("A damaged %s counts as absent: %s", kind, damage)


def to_client(row: Row) -> Client:
    """The client in the columns CLIENT."""
    return Client(
        client_id=_text(row[0]),
        origin=_one_of(_ORIGINS, row[1]),
        name=_optional_text(row[2]),
        redirect_uris=_strings(row[3]),
        grant_types=_strings(row[4]),
        response_types=_strings(row[5]),
        token_endpoint_auth_method=_one_of(_AUTH_METHODS, row[6]),
        scopes=None if row[7] is None else _strings(row[7]),
        metadata=_object(row[8]),
        secrets=tuple(ClientSecret(digest=digest, expires_at=at) for digest, at in _to_pairs(row[9])),
        created_at=_integer(row[10]),
        last_used_at=_optional_integer(row[11]),
        version=_integer(row[12]),
        mac=_bytes(row[13]),
        jwks=None if row[14] is None else _object(row[14]),
        jwks_uri=_optional_text(row[15]),
        introspects=_strings(row[16]),
        registration_access=_optional_digest(row[17]),
        registered_from=_optional_digest(row[18]),
    )


def to_initial_access_token(row: Row) -> InitialAccessToken:
    """The initial access token in the columns INITIAL_ACCESS_TOKEN."""
    return InitialAccessToken(
        digest=Digest(_bytes(row[0])),
        created_at=_integer(row[1]),
        expires_at=_integer(row[2]),
        mac=_bytes(row[3]),
    )


def to_grant(row: Row) -> Grant:
    """The grant in the columns GRANT."""
    return Grant(
        grant_id=_text(row[0]),
        user_id=_optional_text(row[1]),
        client_id=_text(row[2]),
        scopes=_shared_strings(row[3]),
        resources=_shared_strings(row[4]),
        redirect_uri=_optional_text(row[5]),
        metadata=_object(row[6]),
        created_at=_integer(row[7]),
        exchanged_at=_optional_integer(row[8]),
        expires_at=_optional_integer(row[9]),
        last_used_at=_optional_integer(row[10]),
        revoked_at=_optional_integer(row[11]),
        revoked_reason=None if row[12] is None else _one_of(_REASONS, row[12]),
    )


def to_refresh_state(row: Row) -> RefreshState:
    """The refresh state in the columns REFRESH."""
    return RefreshState(
        generation=_integer(row[0]),
        family=_optional_digest(row[1]),
        current=_to_slot(row[2:8]),
        previous=_to_slot(row[8:14]),
        seal=None if row[14] is None else _bytes(row[14]),
        seal_until=_optional_integer(row[15]),
        retired=tuple(
            RetiredToken(digest=digest, retired_at=_integer(retired_at)) for digest, retired_at in _to_pairs(row[16])
        ),
    )


def _to_slot(row: Row) -> RefreshToken | None:
    if row[0] is None:
        return None
    return RefreshToken(
        digest=Digest(_bytes(row[0])),
        issued_at=_integer(row[1]),
        expires_at=_optional_integer(row[2]),
        props_version=_integer(row[3]),
        wrapped_key=_bytes(row[4]),
        mac=_bytes(row[5]),
    )


def to_code(row: Row) -> Code:
    """The code in the columns CODE."""
    return Code(
        digest=Digest(_bytes(row[0])),
        code_challenge=_text(row[1]),
        issued_at=_integer(row[2]),
        expires_at=_integer(row[3]),
        redeemed_at=_optional_integer(row[4]),
        props_version=_integer(row[5]),
        wrapped_key=_bytes(row[6]),
        mac=_bytes(row[7]),
    )


def to_access_token(row: Row) -> AccessToken:
    """The access token in the columns ACCESS_TOKEN."""
    return AccessToken(
        digest=Digest(_bytes(row[0])),
        scopes=_shared_strings(row[1]),
        audience=_shared_strings(row[2]),
        issued_at=_integer(row[3]),
        expires_at=_integer(row[4]),
        props_version=_integer(row[5]),
        wrapped_key=_bytes(row[6]),
        mac=_bytes(row[7]),
    )


def to_props(row: Row) -> SealedProps:
    """The props version in the columns PROPS."""
    return SealedProps(version=_integer(row[0]), ciphertext=_bytes(row[1]))


def to_count(row: Row) -> int:
    """A single whole number."""
    return _integer(row[0])


def to_user(row: Row) -> User:
    """The user in the columns USER."""
    return User(
        user_id=_text(row[0]),
        password_hash=_text(row[1]),
        is_admin=bool(row[2]),
        created_at=_integer(row[3]),
        disabled_at=_optional_integer(row[4]),
        version=_integer(row[5]),
        mac=_bytes(row[6]),
        name=_optional_text(row[7]),
    )


def to_session(row: Row) -> Session:
    """The session in the columns SESSION."""
    return Session(
        digest=Digest(_bytes(row[0])),
        user_id=_optional_text(row[1]),
        created_at=_integer(row[2]),
        expires_at=_integer(row[3]),
        mac=_bytes(row[4]),
        user_agent=_optional_text(row[5]),
        address=_optional_text(row[6]),
        sealed=None if row[7] is None else _bytes(row[7]),
    )


def to_event(row: Row) -> Event:
    """The event in the columns EVENT."""
    return Event(
        event_id=_text(row[0]),
        at=_integer(row[1]),
        name=_text(row[2]),
        client_id=_optional_text(row[3]),
        user_id=_optional_text(row[4]),
        grant_id=_optional_text(row[5]),
        reason=_text(row[6]),
        actor=_text(row[7]),
        address=_optional_text(row[8]),
        reference=_optional_text(row[9]) or "",
        details=_object(row[10]),
    )


def to_interaction(row: Row) -> Interaction:
    """The interaction in the columns INTERACTION."""
    return Interaction(
        digest=Digest(_bytes(row[0])),
        session=Digest(_bytes(row[1])),
        request=_text(row[2]),
        created_at=_integer(row[3]),
        expires_at=_integer(row[4]),
        closed_at=_optional_integer(row[5]),
    )


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    raise Damaged("a text was expected")


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _integer(value: Any) -> int:
    if type(value) is int:
        return value
    raise Damaged("a whole number was expected")


def _optional_integer(value: Any) -> int | None:
    return None if value is None else _integer(value)


def _bytes(value: Any) -> bytes:
    if type(value) is bytes:
        return value
    raise Damaged("bytes were expected")


def _optional_digest(value: Any) -> Digest | None:
    return None if value is None else Digest(_bytes(value))


def _one_of(choices: frozenset[Any], value: Any) -> Any:
    if value in choices:
        return value
    raise Damaged("a value is none of those that this version knows")


def _json(value: Any) -> Any:
    try:
        return json.loads(_text(value))
    except (ValueError, RecursionError) as error:
        raise Damaged("JSON was expected") from error


def _object(value: Any) -> dict[str, Any]:
    if value == "{}":
        return {}
    found = _json(value)
    if type(found) is dict:
        return found
    raise Damaged("a JSON object was expected")


def _strings(value: Any) -> tuple[str, ...]:
    found = _json(value)
    if type(found) is list and all(type(item) is str for item in found):
        return tuple(found)
    raise Damaged("a JSON list of strings was expected")


# Few scopes and resources are written on many grants, and a tuple may be shared.
_shared_strings = lru_cache(maxsize=512)(_strings)


def _to_pairs(value: Any) -> tuple[tuple[Digest, int | None], ...]:
    try:
        return tuple((Digest(bytes.fromhex(digest)), _optional_integer(at)) for digest, at in _json(value))
    except (TypeError, ValueError) as error:
        raise Damaged("a JSON list of digests and instants was expected") from error
