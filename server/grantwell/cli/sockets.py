"""The socket that a server listens at, taken before anything is changed on the disk."""

from __future__ import annotations

import errno
import socket

import click

_BACKLOG = 2048
# The one that an origin leaves out.
_HTTP_PORT = 80


def bound_to(host: str, port: int) -> socket.socket:
    """A socket that listens at an address; port 0 takes one that is free. Raises ClickException."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError):
        raise click.ClickException(f"Cannot serve at {host!r}: it is no address of this machine.") from None
    # Named, because asyncio turns off Nagle's delay only on sockets that say they are TCP.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise click.ClickException(f"Port {port} of {host} is taken; choose another one with --port.") from None
        raise click.ClickException(f"Cannot serve on port {port} of {host}: {error.strerror}.") from None
    return bound


def origin_of(host: str, port: int) -> str:
    """The http origin of an address."""
    authority = f"[{host}]" if ":" in host else host
    return f"http://{authority}" if port == _HTTP_PORT else f"http://{authority}:{port}"
