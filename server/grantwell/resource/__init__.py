"""Protecting an ASGI application whose tokens are issued elsewhere, by another process or on another machine.

`ResourceServer` is the guard of `OAuthProvider` for resource servers that have no access to its database: it asks the
authorization server about each token (RFC 7662). `RemoteTokens` is what it asks with, for a framework's own guard.
"""

from .server import ResourceServer
from .tokens import RemoteTokens

__all__ = ["RemoteTokens", "ResourceServer"]
