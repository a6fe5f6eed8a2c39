"""What an operator can do about each refusal: a catalogue by the cause that the flows give.

The cause of a refusal is its reason, or, where it has none, the sentence that the client was told. In a cause of the
catalogue `…` stands for whatever is put in there.
"""

from __future__ import annotations

from .clients import CLIENTS
from .requests import REQUESTS
from .tokens import TOKENS

GAP = "…"

# What to do, and for which causes. The sentences of RFC 7591, which have the widest gaps, are looked at last.
CATALOGUE = (*TOKENS, *REQUESTS, *CLIENTS)

_DATABASE = "The database did not answer in time: look at its disk, at what else writes to it, and at the log."
_UNKNOWN = "This refusal is not one of Grantwell's own: a hook of the application gave it, and its reason."


def advice_for(code: str, description: str, reason: str) -> str:
    """One sentence of advice on a refusal."""
    for cause, advice in _ADVICE:
        if fits(cause, reason or description):
            return advice
    return _DATABASE if code == "temporarily_unavailable" else _UNKNOWN


def fits(cause: str, said: str) -> bool:
    """Whether what was said is a cause of the catalogue, whose gaps hold anything."""
    beginning, *pieces = cause.split(GAP)
    if not pieces:
        return said == beginning
    if not said.startswith(beginning):
        return False
    at = len(beginning)
    for piece in pieces[:-1]:
        found = said.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(said) - at >= len(pieces[-1]) and said.endswith(pieces[-1])


# What stands there word for word goes before what has gaps.
_ADVICE = sorted(
    ((cause, advice) for advice, causes in CATALOGUE for cause in causes),
    key=lambda entry: GAP in entry[0],
)
