"""What stands in the address of an operator page: an empty field of a search form filters nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...config import DAY
from ..answers import Refusal
from ..selections import Selection
from ..visits import Visit

_NUMBER = re.compile(r"[0-9]{1,12}")
_MOST_DAYS = 36_500


def given(visit: Visit, *allowed: str) -> dict[str, str]:
    """The parameters that say something, without blanks around them. Raises Refusal for those that are not allowed."""
    return {name: value for name, text in visit.query(*allowed).items() if (value := text.strip(" "))}


def days_ago(parameters: Mapping[str, str], name: str, now: int) -> int | None:
    """The instant so many days ago; None where the parameter is not there. Raises Refusal for what is no number."""
    days = _number(parameters.get(name))
    if days is not None and days > _MOST_DAYS:
        raise Refusal(400, "bad_address")
    return None if days is None else now - days * DAY


def selection_of(parameters: Mapping[str, str]) -> Selection:
    """The selection in an address or a form. Raises Refusal."""
    return Selection(
        grant_id=parameters.get("grant"),
        user_id=parameters.get("user"),
        client_id=parameters.get("client"),
        created_before=_number(parameters.get("created_before")),
        unused_since=_number(parameters.get("unused_since")),
    )


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise Refusal(400, "bad_address")
    return int(text)
