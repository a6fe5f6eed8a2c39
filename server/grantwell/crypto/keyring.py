"""Every keyed recipe of one deployment: MACs, sealed props, sealed answers, and what browsers carry."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from ..records import Digest, SealedProps
from .derivations import MacField, TokenKind, canonical, equal, hkdf_sha256
from .secret_key import KEY_BYTES, SecretKey

NONCE_BYTES = 12

_PROPS_FORMAT = b"\x01"
_WRAP_LABEL = b"grantwell/wrap/v1"
_TOKEN_MAC_LABEL = b"grantwell/token-mac/v1"
_REPLAY_LABEL = b"grantwell/replay/v1"
_ROW_MAC_LABEL = b"grantwell/row-mac/v1"
_COOKIE_LABEL = b"grantwell/cookie/v1"
_COOKIE_SEAL_LABEL = b"grantwell/cookie-seal/v1"
_DERIVED_LABEL = b"grantwell/derived/v1"
_CSRF_LABEL = b"grantwell/csrf/v1"
_THROTTLE_LABEL = b"grantwell/throttle/v1"


class Unsealable(Exception):
    """What was stored cannot be opened with what was presented: forged, altered or of another owner."""


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

    def seal_for_cookie(self, cookie: str, plaintext: bytes) -> bytes:
        """Encrypt what a session keeps, for whoever has its cookie and the deployment key together."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + _cookie_cipher(cookie, self._keys[0]).encrypt(nonce, plaintext, self.cookie_digests(cookie)[0])

    def open_for_cookie(self, cookie: str, sealed: bytes) -> bytes:
        """What was sealed for this cookie. Raises Unsealable if it was not, or under a key that is no longer valid."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        for key, digest in zip(self._keys, self.cookie_digests(cookie), strict=True):
            try:
                return _cookie_cipher(cookie, key).decrypt(nonce, ciphertext, digest)
            except (InvalidTag, ValueError):
                continue
        raise Unsealable("what the session keeps does not open")

    def derived(self, purpose: str, value: str) -> str:
        """43 characters that only this deployment can make of a value, so that they need not be remembered."""
        key = self._subkey(self._keys[0], _DERIVED_LABEL)
        return urlsafe_b64encode(hmac.digest(key, canonical([purpose, value]), "sha256")).rstrip(b"=").decode()

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


def _cookie_cipher(cookie: str, key: bytes) -> AESGCM:
    return AESGCM(hkdf_sha256(cookie.encode(), salt=key, info=_COOKIE_SEAL_LABEL))


def _wrapping_key(token: str, kind: TokenKind, grant_id: str) -> bytes:
    return hkdf_sha256(token.encode(), salt=b"", info=_WRAP_LABEL + canonical([kind, grant_id]))
