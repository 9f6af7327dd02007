"""The public port, bound once and handed down: no restart of the router loses it."""

from __future__ import annotations

import errno
import socket

from tidemill.errors import Conflict, Invalid

BACKLOG = 4096
LAST_PORT = 65_535
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen; port 0 takes a free one. Raises Conflict when the port is taken."""
    if not 0 <= port <= LAST_PORT:  # getaddrinfo would take it modulo 65,536
        raise _refused(host, port, ValueError(f"port {port}"))
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise Invalid(
            "--host must be a name or address of this machine", got=host, do=f"({error})"
        ) from None
    family, _, _, _, address = found[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _refused(host, port, error) from None
    return listener


def url(host: str, listener: socket.socket) -> str:
    """How a client on this machine reaches it."""
    port = listener.getsockname()[1]
    name = EVERYWHERE.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


def _refused(host: str, port: int, error: Exception) -> Conflict | Invalid:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return Conflict(
            f"port {port} of {host} must be free",
            got="another program listens there",
            do="Choose another port with --port (0 takes a free one), or end that program.",
        )
    if number == errno.EACCES:
        do = "Choose a port from 1024 on."
    else:
        do = "Choose an address of this machine and a port from 0 to 65535."
    return Invalid(f"{host}:{port} must be an address to listen on", got=str(error), do=do)
