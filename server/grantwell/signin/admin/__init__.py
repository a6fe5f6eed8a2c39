"""The pages of an operator: clients, grants, users and events. To everybody else, there are no such pages."""

from ..visits import Routes
from . import client_deletion, clients, ending, events, grants, overview, user_access, users
from .access import is_operator

ROUTES: Routes = {
    **overview.ROUTES,
    **clients.ROUTES,
    **client_deletion.ROUTES,
    **grants.ROUTES,
    **ending.ROUTES,
    **users.ROUTES,
    **user_access.ROUTES,
    **events.ROUTES,
}

__all__ = ["ROUTES", "is_operator"]
