"""What the pages load, the same for everybody: one stylesheet in the operator's colour, and a logo if there is one."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response

from .answers import Refusal, asset
from .colors import EDGE_CONTRAST, TEXT_CONTRAST, Color, readable, readable_on
from .visits import Routes, Site, Visit

_STYLESHEET = (Path(__file__).parent / "static" / "signin.css").read_text(encoding="utf-8")
# Of what buttons and links stand on, that on which they are hardest to see: --page in the light scheme, --raised in the
# dark one.
_GROUNDS = (Color.parse("#f3f4f7"), Color.parse("#24272d"))
_PALETTES = ":root {{ {} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {} }} }}\n"


def palettes(accent: str) -> str:
    """The rules that set the colours made of an accent, for both schemes."""
    return _PALETTES.format(*(_palette(Color.parse(accent), ground) for ground in _GROUNDS))


async def stylesheet(site: Site, visit: Visit) -> Response:
    """The look of the pages."""
    css = _STYLESHEET + palettes(site.templates.branding.accent)
    return asset(css.encode(), "text/css; charset=utf-8")


async def logo(site: Site, visit: Visit) -> Response:
    """The operator's logo."""
    image = site.templates.branding.image
    if image is None:
        raise Refusal(404, "not_found")
    return asset(image.content, image.media_type)


def _palette(accent: Color, ground: Color) -> str:
    fill = readable(accent, ground, EDGE_CONTRAST)
    link = readable(accent, ground, TEXT_CONTRAST)
    return f"--accent: {fill}; --on-accent: {readable_on(fill)}; --link: {link};"


ROUTES: Routes = {"/signin.css": {"GET": stylesheet}, "/signin/logo": {"GET": logo}}
