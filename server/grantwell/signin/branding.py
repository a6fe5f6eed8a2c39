"""How the pages look and what they say, as the operator wants it; what cannot work is refused when it is set."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigurationError
from .colors import Color
from .wording import Texts

MAX_NAME_LENGTH = 80
MAX_LOGO_BYTES = 256 * 1024
DEFAULT_ACCENT = "#0b57d0"


@dataclass(frozen=True, slots=True)
class Logo:
    """An image as it is served."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Branding:
    """What an operator changes of the pages; what is not given is ours. Raises ConfigurationError.

    `name` stands on every page; it is the host of the server unless given. `logo` is a PNG, JPEG or WebP file of at
    most 256 KiB, read once; SVG is refused, because it is a document that can hold script. `accent` is the colour of
    buttons and links, as `#rrggbb`; where it could not be read it is shaded, for each colour scheme. `templates` is a
    folder whose files are taken before ours of the same name. `texts` replaces single texts of
    `grantwell.signin.texts.TEXTS`.
    """

    name: str = ""
    logo: Path | None = None
    accent: str = DEFAULT_ACCENT
    templates: Path | None = None
    texts: Mapping[str, str] | None = None
    image: Logo | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if len(self.name) > MAX_NAME_LENGTH or any(
            unicodedata.category(character)[0] == "C" for character in self.name
        ):
            raise ConfigurationError(
                "branding.name", f"must have at most {MAX_NAME_LENGTH} characters, and none that is invisible."
            )
        try:
            Color.parse(self.accent)
        except ValueError as error:
            raise ConfigurationError("branding.accent", f"{error}.") from error
        if self.templates is not None and not Path(self.templates).is_dir():
            raise ConfigurationError("branding.templates", f"{str(self.templates)!r} is not a folder.")
        Texts(self.texts)
        if self.logo is not None:
            object.__setattr__(self, "image", _read(Path(self.logo)))


def _read(path: Path) -> Logo:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_LOGO_BYTES + 1)
    except OSError as error:
        raise ConfigurationError("branding.logo", f"cannot be read: {error}.") from error
    if len(content) > MAX_LOGO_BYTES:
        raise ConfigurationError("branding.logo", f"{str(path)!r} has more than {MAX_LOGO_BYTES // 1024} KiB.")
    media_type = _media_type(content)
    if media_type is None:
        raise ConfigurationError("branding.logo", f"{str(path)!r} is neither PNG nor JPEG nor WebP.")
    return Logo(content, media_type)


def _media_type(content: bytes) -> str | None:
    """What kind of image this is, by its first bytes: a name can say anything."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None
