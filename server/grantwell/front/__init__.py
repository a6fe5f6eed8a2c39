"""A front for an API that is not Python: what the guard let through is sent on to another server, with who calls."""

from .app import Front

__all__ = ["Front"]
