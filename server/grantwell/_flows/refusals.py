"""Refusals, as they are logged and kept: with a reference that a person can read out, and with nothing secret."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from .._protocol.forms import Parameters
from .._protocol.tokens import parse_token
from ..records import Event
from .audit import new_event_id
from .context import Context, log

MAX_INPUT_CHARACTERS = 200

_HARMLESS = (
    "client_id",
    "redirect_uri",
    "scope",
    "resource",
    "response_type",
    "grant_type",
    "code_challenge_method",
    "prompt",
)
# Crockford's base32: no letter of it is taken for another one, or for a digit.
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# How Crockford's base32 is read: these letters are not in it.
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})

# More than is kept, for what is taken out makes it shorter.
_LOOKED_AT = 4 * MAX_INPUT_CHARACTERS
_OF_RUNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_TOKEN = re.compile(r"gw[a-z]_[A-Za-z0-9_\-]{8,}")
_USERINFO = re.compile(r"(?<=//)[^/?#]*@")
_QUERY_VALUE = re.compile(r"(?<==)[^&#=]{17,}")
_RUN = re.compile(r"[A-Za-z0-9_\-]{32,}")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{40,}")
_ESCAPED_NEEDLESSLY = re.compile(r"%(2[Dd]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff])")
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def harmless_inputs(form: Parameters) -> dict[str, str]:
    """Of the parameters of a request those that are no secret; several values of one are separated by a space."""
    return {name: " ".join(values) for name in _HARMLESS if (values := form.many(name))}


def grant_named_in(form: Parameters) -> str | None:
    """The grant that a token or code in a request is of; its id is no secret, and nothing is proven by it."""
    texts = (text for name in ("code", "refresh_token", "token", "subject_token") for text in form.many(name))
    parsed = (parse_token(text) for text in texts)
    return next((token.grant_id for token in parsed if token is not None and token.grant_id), None)


def harmless_metadata(document: Mapping[str, Any]) -> dict[str, str]:
    """The same of a registration (RFC 7591 section 2)."""
    members = {"redirect_uri": "redirect_uris", "grant_type": "grant_types", "scope": "scope"}
    return {name: text for name, member in members.items() if (text := _texts(document.get(member)))}


def redacted(text: str) -> str:
    """A stranger's text as it may be kept: without what may be a token or a password, in ASCII, and cut short."""
    if len(text) > _LOOKED_AT:
        # Without what it was cut in, which could not be told from a name any more.
        text = text[:_LOOKED_AT].rstrip(_OF_RUNS)
    spelled_out = _ESCAPED_NEEDLESSLY.sub(lambda escape: chr(int(escape[1], 16)), text)
    # As it was sent, unless its spelling hid something.
    kept = _harmless(text if _harmless(spelled_out) == spelled_out else spelled_out)
    return quote(kept, safe=_PRINTABLE, errors="replace")[:MAX_INPUT_CHARACTERS]


def note(
    context: Context,
    *,
    endpoint: str,
    code: str,
    description: str,
    reason: str,
    status: int,
    client_id: str | None = None,
    user_id: str | None = None,
    grant_id: str | None = None,
    address: str | None = None,
    inputs: Mapping[str, str],
) -> str:
    """Log a refusal and keep it, if there is room; returns its reference. `client_id` is of a client that is known."""
    now = context.now()
    reference = new_reference()
    log.info("refused at %r: %s client=%r reason=%r reference=%s", endpoint, code, client_id, reason, reference)
    told = {name: redacted(inputs[name]) for name in _HARMLESS if inputs.get(name)}
    context.keep(
        Event(
            event_id=new_event_id(now),
            name="refused",
            at=now,
            client_id=client_id or told.get("client_id"),
            user_id=user_id,
            grant_id=grant_id,
            reason=redacted(reason),
            actor="client" if user_id is None else f"user:{user_id}",
            address=address,
            reference=reference,
            details={
                "endpoint": endpoint,
                "code": code,
                "description": description,
                "status": status,
                "inputs": told,
            },
        )
    )
    return reference


def new_reference() -> str:
    """A reference such as `7KQ2-M9XD`: random, and easy to read out."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def read_reference(text: str) -> str | None:
    """A reference as it was given out, from how somebody wrote it down; None if it cannot be one."""
    letters = text.upper().translate(_MISREAD)
    return f"{letters[:4]}-{letters[4:]}" if len(letters) == 8 and set(letters) <= set(_LETTERS) else None


def _harmless(text: str) -> str:
    text = _TOKEN.sub("[token]", text)
    text = _USERINFO.sub("[user]@", text)
    text = _RUN.sub(_unless_random, text)
    return _QUERY_VALUE.sub("[value]", text)


def _unless_random(run: re.Match[str]) -> str:
    """What a key, a cookie, a verifier or part of a JWT looks like; names that people give, and ids, do not."""
    text = run[0]
    mixed = any(map(str.isupper, text)) and any(map(str.islower, text)) and any(map(str.isdigit, text))
    return "[random]" if mixed or _HEXADECIMAL.search(text) else text


def _texts(value: object) -> str:
    values = value if isinstance(value, list) else [value]
    return " ".join(text for text in values if isinstance(text, str))
