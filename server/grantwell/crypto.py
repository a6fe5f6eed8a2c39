"""The only door to cryptography: recipes named by purpose, each with a label of its own; no two share a derivation.

What a token opens is derived from the token; what an attacker with write access to the database must not be able to
make is derived from the deployment key as well. Randomness comes from `secrets`, and is an argument of the inner
functions, so that known-answer vectors can be tested.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Literal, ParamSpec, TypeVar

from argon2 import PasswordHasher as Argon2Hasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from .errors import ConfigurationError, StoreUnavailable
from .records import Digest, SealedProps

P = ParamSpec("P")
R = TypeVar("R")

TokenKind = Literal["access", "refresh", "code", "client_secret"]
MacField = str | bytes | int | bool | None | tuple["MacField", ...]

KEY_BYTES = 32
NONCE_BYTES = 12
MAX_PROPS_BYTES = 256 * 1024
MAX_PASSWORD_BYTES = 1024

_MOST_HASHING = 2
_MOST_WAITING = 32

_PROPS_FORMAT = b"\x01"
_DIGEST_LABEL = b"grantwell/token-id/v1\0"
_WRAP_LABEL = b"grantwell/wrap/v1"
_TOKEN_MAC_LABEL = b"grantwell/token-mac/v1"
_REPLAY_LABEL = b"grantwell/replay/v1"
_ROW_MAC_LABEL = b"grantwell/row-mac/v1"
_COOKIE_LABEL = b"grantwell/cookie/v1"
_CSRF_LABEL = b"grantwell/csrf/v1"
_THROTTLE_LABEL = b"grantwell/throttle/v1"


class Unsealable(Exception):
    """What was stored cannot be opened with what was presented: forged, altered or of another owner."""


class SecretKey:
    """The deployment key: 256 bits that live outside the database, and, while it is being replaced, the one before.

    New values are made with the first key, old ones are accepted under either. Losing it ends every token and session.
    """

    __slots__ = ("_keys",)

    def __init__(self, key: bytes, *, older: bytes | None = None) -> None:
        """`key` and `older` are exactly 32 bytes. Raises ConfigurationError otherwise."""
        keys = (key,) if older is None else (key, older)
        if any(not isinstance(k, bytes) or len(k) != KEY_BYTES for k in keys):
            raise ConfigurationError("secret_key", "must be exactly 32 bytes.")
        self._keys = keys

    @classmethod
    def file(cls, path: str | os.PathLike[str], *, older: str | os.PathLike[str] | None = None) -> SecretKey:
        """The key kept in a file, as 64 hexadecimal digits; it is made on first use, readable by its owner alone.

        Several processes may start at once: all get the same key. Raises ConfigurationError if the file is readable
        by others, or is not a key.
        """
        location = Path(path)
        if not location.exists():
            try:
                _create_key_file(location)
            except OSError as error:
                raise ConfigurationError("secret_key", f"{location} cannot be created: {error.strerror}.") from error
        return cls(_read_key_file(location), older=None if older is None else _read_key_file(Path(older)))

    @classmethod
    def generate(cls) -> SecretKey:
        """A fresh key that is kept nowhere: every token made with it ends with the process."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys, the one to make new values with first."""
        return self._keys

    def __repr__(self) -> str:
        return "SecretKey(***)"

    def __reduce__(self) -> str:
        raise TypeError("a SecretKey is not to be pickled")


def _create_key_file(location: Path) -> None:
    temporary = location.with_name(f".{location.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link is made whole or not at all, so that of several starting processes exactly one key survives.
            os.link(temporary, location)
        except FileExistsError:
            return
    finally:
        temporary.unlink()


def _read_key_file(location: Path) -> bytes:
    try:
        mode = stat.S_IMODE(location.stat().st_mode)
        text = location.read_bytes()[:256].decode("ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise ConfigurationError("secret_key", f"{location} cannot be read as 64 hexadecimal digits.") from error
    if mode & 0o077:
        raise ConfigurationError("secret_key", f"{location} may be read by others; run: chmod 600 {location}")
    if len(key) != KEY_BYTES:
        raise ConfigurationError("secret_key", f"{location} does not hold 64 hexadecimal digits.")
    return key


def digest_of(kind: TokenKind, token: str) -> Digest:
    """What the database keeps of a token: SHA-256 over label, kind and token, so that kinds cannot be confused."""
    return Digest(hashlib.sha256(_DIGEST_LABEL + kind.encode() + b"\0" + token.encode()).digest())


def family_digest(family: bytes) -> Digest:
    """What the database keeps of the value that all refresh tokens of a grant share."""
    return Digest(hashlib.sha256(_DIGEST_LABEL + b"family\0" + family).digest())


def equal(left: bytes, right: bytes) -> bool:
    """Whether two byte strings are equal, in time that does not depend on where they differ."""
    return hmac.compare_digest(left, right)


def hkdf_sha256(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    """32 bytes derived from `key` (RFC 5869 with SHA-256; one block is all that is ever needed here)."""
    pseudorandom_key = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(pseudorandom_key, info + b"\x01", "sha256")


def canonical(fields: Iterable[MacField]) -> bytes:
    """An injective encoding of typed fields: their Python literals in ASCII, from which they could be read again."""
    return ascii(tuple(fields)).encode("ascii")


def encode_props(props: Any) -> bytes:
    """Props as JSON bytes. Raises ValueError, naming the trouble, for what JSON cannot carry or is over 256 KiB."""
    _check_json(props, depth=0)
    encoded = json.dumps(props, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(encoded) > MAX_PROPS_BYTES:
        raise ValueError(f"props take {len(encoded)} bytes as JSON; {MAX_PROPS_BYTES} is the most")
    return encoded


def _check_json(value: Any, *, depth: int) -> None:
    if depth > 32:
        raise ValueError("props are nested too deeply, or contain themselves")
    if isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                raise ValueError(f"props have a key that is not a string: {type(key).__name__}")
            _check_json(key, depth=depth + 1)
            _check_json(member, depth=depth + 1)
    elif isinstance(value, (list, tuple)):
        for member in value:
            _check_json(member, depth=depth + 1)
    elif isinstance(value, str):
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise ValueError("props have a string with a lone surrogate")
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError("props have a number that is not finite")
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 1 << 63:
            raise ValueError("props have an integer beyond 64 bits")
    elif value is not None and not isinstance(value, bool):
        raise ValueError(f"props have a value that JSON cannot carry: {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class PropsOwner:
    """To whom props belong; authenticated with them, so that they cannot be moved to another grant."""

    user_id: str | None
    grant_id: str
    client_id: str


class Keyring:
    """Every keyed recipe of one deployment: its issuer and its secret key."""

    def __init__(self, issuer: str, secret_key: SecretKey) -> None:
        self._issuer = issuer
        self._keys = secret_key.keys
        self._row_keys = [self._subkey(key, _ROW_MAC_LABEL) for key in self._keys]
        self._cookie_keys = [self._subkey(key, _COOKIE_LABEL) for key in self._keys]
        self._csrf_keys = [self._subkey(key, _CSRF_LABEL) for key in self._keys]
        self._throttle_key = self._subkey(self._keys[0], _THROTTLE_LABEL)

    def _subkey(self, key: bytes, label: bytes) -> bytes:
        # Without the issuer, so that the command line can read and write rows with the database and the key alone.
        return hkdf_sha256(key, salt=b"", info=label)

    # Tokens ---------------------------------------------------------------------------------------------------------

    def token_mac(self, token: str, fields: Iterable[MacField]) -> bytes:
        """Authenticate what a token grants: nobody without the token and the deployment key can make this value."""
        return self._token_mac(self._keys[0], token, canonical(fields))

    def token_mac_fits(self, token: str, fields: Iterable[MacField], mac: bytes) -> bool:
        """Whether `mac` was made for this token and these fields, under a deployment key that is still valid."""
        message = canonical(fields)
        return any(equal(self._token_mac(key, token, message), mac) for key in self._keys)

    def _token_mac(self, key: bytes, token: str, message: bytes) -> bytes:
        return hmac.digest(hkdf_sha256(token.encode(), salt=key, info=_TOKEN_MAC_LABEL), message, "sha256")

    # Rows that have no token ----------------------------------------------------------------------------------------

    def row_mac(self, table: str, fields: Iterable[MacField]) -> bytes:
        """Authenticate a row that no token stands behind (a client, a user, a session)."""
        return hmac.digest(self._row_keys[0], canonical([table]) + canonical(fields), "sha256")

    def row_mac_fits(self, table: str, fields: Iterable[MacField], mac: bytes) -> bool:
        """Whether `mac` was made for this row under a deployment key that is still valid."""
        message = canonical([table]) + canonical(fields)
        return any(equal(hmac.digest(key, message, "sha256"), mac) for key in self._row_keys)

    # Props ----------------------------------------------------------------------------------------------------------

    def seal_props(self, props: bytes, owner: PropsOwner, version: int) -> tuple[bytes, SealedProps]:
        """Encrypt props under a fresh data key; returns the data key and the version to store."""
        data_key = secrets.token_bytes(KEY_BYTES)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return data_key, SealedProps(version=version, ciphertext=self._seal(data_key, nonce, props, owner, version))

    def _seal(self, data_key: bytes, nonce: bytes, props: bytes, owner: PropsOwner, version: int) -> bytes:
        return _PROPS_FORMAT + nonce + AESGCM(data_key).encrypt(nonce, props, self._props_context(owner, version))

    def open_props(self, data_key: bytes, sealed: SealedProps, owner: PropsOwner) -> bytes:
        """Decrypt props. Raises Unsealable for anything but this version of these props of this owner."""
        if sealed.ciphertext[:1] != _PROPS_FORMAT:
            raise Unsealable("unknown format of props")
        nonce, ciphertext = sealed.ciphertext[1 : 1 + NONCE_BYTES], sealed.ciphertext[1 + NONCE_BYTES :]
        try:
            return AESGCM(data_key).decrypt(nonce, ciphertext, self._props_context(owner, sealed.version))
        except (InvalidTag, ValueError) as error:
            raise Unsealable("props do not open") from error

    def _props_context(self, owner: PropsOwner, version: int) -> bytes:
        return canonical([_PROPS_FORMAT, self._issuer, owner.user_id, owner.grant_id, owner.client_id, version])

    def wrap(self, data_key: bytes, token: str, kind: TokenKind, grant_id: str) -> bytes:
        """Wrap a data key so that the holder of this token, and nobody else, can open it (RFC 3394)."""
        return aes_key_wrap(_wrapping_key(token, kind, grant_id), data_key)

    def unwrap(self, wrapped_key: bytes, token: str, kind: TokenKind, grant_id: str) -> bytes:
        """The data key that was wrapped for this token. Raises Unsealable if it was not."""
        try:
            return aes_key_unwrap(_wrapping_key(token, kind, grant_id), wrapped_key)
        except (InvalidUnwrap, ValueError) as error:
            raise Unsealable("the data key does not open") from error

    # The sealed replay ----------------------------------------------------------------------------------------------

    def seal_answer(self, token: str, grant_id: str, generation: int, answer: bytes) -> bytes:
        """Seal the answer of a rotation under the token that was presented, for its holder to ask for again."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        key = hkdf_sha256(token.encode(), salt=self._keys[0], info=_REPLAY_LABEL)
        return nonce + AESGCM(key).encrypt(nonce, answer, canonical([self._issuer, grant_id, generation]))

    def open_answer(self, token: str, grant_id: str, generation: int, sealed: bytes) -> bytes:
        """The answer that was sealed for the holder of this token. Raises Unsealable if it was not."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        context = canonical([self._issuer, grant_id, generation])
        for key in self._keys:
            try:
                return AESGCM(hkdf_sha256(token.encode(), salt=key, info=_REPLAY_LABEL)).decrypt(
                    nonce, ciphertext, context
                )
            except (InvalidTag, ValueError):
                continue
        raise Unsealable("the answer does not open")

    # Browsers -------------------------------------------------------------------------------------------------------

    def cookie_digests(self, cookie: str) -> tuple[Digest, ...]:
        """Under which digests a session with this cookie may be stored, the one to store it under first.

        They are keyed, so that a session cannot be made by somebody who can only write to the database.
        """
        return tuple(Digest(hmac.digest(key, cookie.encode(), "sha256")) for key in self._cookie_keys)

    def csrf_token(self, fields: Iterable[MacField]) -> str:
        """A token for a form, bound to the fields: browser, page, user and what the page showed."""
        return hmac.digest(self._csrf_keys[0], canonical(fields), "sha256").hex()

    def csrf_token_fits(self, fields: Iterable[MacField], token: str) -> bool:
        """Whether a form's token was made for these fields, under a deployment key that is still valid."""
        message = canonical(fields)
        presented = token.encode("utf-8", "surrogatepass")
        return any(equal(hmac.digest(key, message, "sha256").hex().encode(), presented) for key in self._csrf_keys)

    def throttle_key(self, *fields: MacField) -> Digest:
        """The key to count tries under; names and addresses do not reach the database."""
        return Digest(hmac.digest(self._throttle_key, canonical(fields), "sha256"))


def _wrapping_key(token: str, kind: TokenKind, grant_id: str) -> bytes:
    return hkdf_sha256(token.encode(), salt=b"", info=_WRAP_LABEL + canonical([kind, grant_id]))


class PasswordHasher:
    """argon2id (19 MiB, two passes, one lane) for passwords alone: at most two at a time, in threads, 32 waiting."""

    def __init__(self, *, memory_kib: int = 19 * 1024, passes: int = 2, lanes: int = 1) -> None:
        self._argon2 = Argon2Hasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes)
        self._places = BoundedSemaphore(_MOST_HASHING + _MOST_WAITING)
        # Verifying against it costs what a real user costs, so that the time does not tell who exists.
        self._nobody = ""

    async def hash(self, password: str) -> str:
        """The hash to store. Raises ValueError for a password of no or over 1,024 bytes, StoreUnavailable when busy."""
        encoded = password.encode("utf-8", "surrogatepass")
        if not 0 < len(encoded) <= MAX_PASSWORD_BYTES:
            raise ValueError(f"a password has 1 to {MAX_PASSWORD_BYTES} bytes")
        return await self._run(self._argon2.hash, encoded)

    async def fits(self, password: str, stored: str | None) -> bool:
        """Whether the password is the stored one; as slow for a user who does not exist (`stored` is None)."""
        encoded = password.encode("utf-8", "surrogatepass")[: MAX_PASSWORD_BYTES + 1]
        if not self._nobody:
            self._nobody = await self._run(self._argon2.hash, secrets.token_bytes(16))
        matched = await self._run(self._verify, stored or self._nobody, encoded)
        return matched and stored is not None and 0 < len(encoded) <= MAX_PASSWORD_BYTES

    def is_outdated(self, stored: str) -> bool:
        """Whether the stored hash was made with other costs than today's."""
        return self._argon2.check_needs_rehash(stored)

    def _verify(self, stored: str, password: bytes) -> bool:
        try:
            return self._argon2.verify(stored, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False

    async def _run(self, function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        if not self._places.acquire(blocking=False):
            raise StoreUnavailable("too many passwords are being checked")
        job = _hashing_threads(os.getpid()).submit(function, *arguments, **named)
        # When the work is over, not when the caller leaves.
        job.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(job)


@lru_cache(maxsize=1)
def _hashing_threads(process: int) -> ThreadPoolExecutor:
    """The threads that hash in this process, whoever asks; a forked one has none of its parent's."""
    return ThreadPoolExecutor(_MOST_HASHING, thread_name_prefix=f"grantwell-argon2-{process}")
