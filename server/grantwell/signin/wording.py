"""The texts of one deployment: which of them the operator replaced, and what stands for their placeholders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter

from markupsafe import Markup, escape

from ..errors import ConfigurationError
from .texts import TEXTS

_PLACEHOLDER = re.compile(r"[a-z_]+")
_UNITS = (("days", 86_400), ("hours", 3600), ("minutes", 60))


class Texts:
    """The texts of one deployment: ours, with those that its operator replaced.

    Raises ConfigurationError for a text that there is none of, and for one whose placeholders differ from ours.
    """

    def __init__(self, replaced: Mapping[str, str] | None = None) -> None:
        for key, text in (replaced or {}).items():
            if key not in TEXTS:
                raise ConfigurationError("branding.texts", f"There is no text {key!r}.")
            if _placeholders(text) != _placeholders(TEXTS[key]):
                wanted = ", ".join(f"{{{name}}}" for name in sorted(_placeholders(TEXTS[key]))) or "none"
                raise ConfigurationError("branding.texts", f"The placeholders of {key!r} must be: {wanted}.")
        self._texts = {**TEXTS, **(replaced or {})}

    def __call__(self, key: str, /, **values: object) -> Markup:
        """A text, as markup in which everything is escaped. Raises KeyError."""
        return escape(self._texts[key]).format(**values)

    def duration(self, seconds: int) -> Markup:
        """A length of time in the largest unit that tells it exactly."""
        unit, count = next(
            ((unit, seconds // size) for unit, size in _UNITS if seconds >= size and seconds % size == 0),
            ("seconds", seconds),
        )
        return self(f"{unit}.one" if count == 1 else f"{unit}.other", count=count)

    def lifetime(self, *, absolute: int | None, idle: int | None) -> Markup:
        """How long an access may last, in seconds given; None is without end."""
        key = "lifetime.endless" if absolute is None else "lifetime.absolute"
        values = {} if absolute is None else {"absolute": self.duration(absolute)}
        if idle is None:
            return self(key, **values)
        return self(f"{key}_idle", idle=self.duration(idle), **values)


def _placeholders(text: str) -> set[str]:
    """The names of the placeholders; one with anything but a name in it is no placeholder of ours."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        return {text}
    fields = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
    plain = all(_PLACEHOLDER.fullmatch(name) and not spec and not conversion for name, spec, conversion in fields)
    return {name for name, _, _ in fields} if plain else {text}
