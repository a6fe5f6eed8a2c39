"""The first operator page: where to look, and a way to find what an error page was about."""

from __future__ import annotations

from starlette.responses import Response

from ..framing import framed
from ..people import Person, for_people
from ..visits import Routes, Site, Visit


async def show(site: Site, visit: Visit, person: Person) -> Response:
    """The ways to everything else."""
    return framed(site, person, "admin/overview.html", visit.query("done"), here="/admin")


ROUTES: Routes = {"/admin": {"GET": for_people(show)}}
