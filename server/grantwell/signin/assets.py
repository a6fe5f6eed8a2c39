"""What the pages load: one stylesheet, which is the same for everybody."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response

from .answers import asset
from .visits import Routes, Site, Visit

_STYLESHEET = (Path(__file__).parent / "static" / "signin.css").read_bytes()


async def stylesheet(site: Site, visit: Visit) -> Response:
    """The look of the pages."""
    return asset(_STYLESHEET, "text/css; charset=utf-8")


ROUTES: Routes = {"/signin.css": {"GET": stylesheet}}
