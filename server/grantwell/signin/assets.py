"""What the pages load, the same for everybody: one stylesheet in the operator's colour, and a logo if there is one."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response

from .answers import Refusal, asset
from .colors import EDGE_CONTRAST, TEXT_CONTRAST, Color, readable, readable_on
from .visits import Routes, Site, Visit

_STYLESHEET = (Path(__file__).parent / "static" / "signin.css").read_text(encoding="utf-8")
# What buttons and links stand on, in the light scheme and in the dark one: --surface of the stylesheet.
_SURFACES = (Color.parse("#ffffff"), Color.parse("#1b1d22"))
_PALETTES = ":root {{ {} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {} }} }}\n"


def palettes(accent: str) -> str:
    """The rules that set the colours made of an accent, for both schemes."""
    return _PALETTES.format(*(_palette(Color.parse(accent), surface) for surface in _SURFACES))


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


def _palette(accent: Color, surface: Color) -> str:
    fill = readable(accent, surface, EDGE_CONTRAST)
    link = readable(accent, surface, TEXT_CONTRAST)
    return f"--accent: {fill}; --on-accent: {readable_on(fill)}; --link: {link};"


ROUTES: Routes = {"/signin.css": {"GET": stylesheet}, "/signin/logo": {"GET": logo}}
