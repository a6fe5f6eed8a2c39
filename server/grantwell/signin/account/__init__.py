"""The pages on which people see and end what they have let in: connections, sessions, and their password."""

from ..visits import Routes
from . import connections, overview, password, sessions

ROUTES: Routes = {**overview.ROUTES, **connections.ROUTES, **password.ROUTES, **sessions.ROUTES}

__all__ = ["ROUTES"]
