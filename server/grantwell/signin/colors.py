"""Colours with contrast: what an operator's accent must become so that it can be read (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

TEXT_CONTRAST = 4.5
EDGE_CONTRAST = 3.0

_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_STEPS = 100


@dataclass(frozen=True, slots=True)
class Color:
    """An opaque colour of sRGB, each channel 0 to 255."""

    red: int
    green: int
    blue: int

    @classmethod
    def parse(cls, text: str) -> Color:
        """The colour written as `#rrggbb`. Raises ValueError."""
        if not _HEX.fullmatch(text):
            raise ValueError(f"{text!r} is not a colour such as #0b57d0")
        return cls(int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16))

    def __str__(self) -> str:
        """As `#rrggbb`."""
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    @property
    def luminance(self) -> float:
        """The relative luminance, 0 for black and 1 for white."""
        return 0.2126 * _linear(self.red) + 0.7152 * _linear(self.green) + 0.0722 * _linear(self.blue)

    def mixed(self, other: Color, share: float) -> Color:
        """This colour with a share, 0 to 1, of another."""
        return Color(
            round(self.red + (other.red - self.red) * share),
            round(self.green + (other.green - self.green) * share),
            round(self.blue + (other.blue - self.blue) * share),
        )


BLACK = Color(0, 0, 0)
WHITE = Color(255, 255, 255)


def contrast(one: Color, other: Color) -> float:
    """The contrast ratio of two colours, 1 to 21."""
    darker, lighter = sorted((one.luminance, other.luminance))
    return (lighter + 0.05) / (darker + 0.05)


def readable_on(background: Color) -> Color:
    """Black or white, whichever is read more easily; one of the two always has a contrast above 4.5."""
    return max((WHITE, BLACK), key=lambda text: contrast(text, background))


def readable(color: Color, background: Color, wanted: float) -> Color:
    """The colour nearest to this one that has the wanted contrast to a background."""
    target = readable_on(background)
    mixtures = (color.mixed(target, step / _STEPS) for step in range(_STEPS))
    return next((mixture for mixture in mixtures if contrast(mixture, background) >= wanted), target)


def _linear(channel: int) -> float:
    share = channel / 255
    return share / 12.92 if share <= 0.04045 else math.pow((share + 0.055) / 1.055, 2.4)
