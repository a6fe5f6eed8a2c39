"""How the pages look and what they say, as the operator wants it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Branding:
    """What an operator changes of the pages; what is not given is ours.

    `name` stands on every page; it is the host of the server unless given. `templates` is a folder whose files are
    taken before ours of the same name. `texts` replaces single texts of `grantwell.signin.texts.TEXTS`.
    """

    name: str = ""
    templates: Path | None = None
    texts: Mapping[str, str] | None = None
