"""The deployment key: where it is kept, and how it is made."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from ..errors import ConfigurationError

KEY_BYTES = 32


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
