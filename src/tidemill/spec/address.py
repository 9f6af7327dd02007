"""Where a replica listens: ``unix:/path`` or ``tcp:host:port``; the same frames go over both."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.errors import Invalid


@dataclass(frozen=True, slots=True)
class Unix:
    """A stream socket in the file system."""

    path: str


@dataclass(frozen=True, slots=True)
class Tcp:
    """port: 0 asks whoever listens there to choose one"""

    host: str
    port: int


def parse(address: str) -> Unix | Tcp:
    """Read an address; raises Invalid for any other text.

    >>> parse("unix:/run/r1.sock")
    Unix(path='/run/r1.sock')
    >>> parse("tcp:10.0.0.7:8080"), parse("tcp:[::1]:8080")
    (Tcp(host='10.0.0.7', port=8080), Tcp(host='::1', port=8080))
    """
    scheme, _, rest = address.partition(":")
    if scheme == "unix" and rest:
        return Unix(rest)
    host, _, port = rest.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if scheme == "tcp" and host and port.isascii() and port.isdigit() and int(port) < 2**16:
        return Tcp(host, int(port))
    raise Invalid(
        "a replica's address must be unix:/path or tcp:host:port",
        got=address,
        do="Name a socket's path, or a host and a port up to 65535.",
    )


def text(address: Unix | Tcp) -> str:
    """What ``parse`` reads.

    >>> text(Tcp("::1", 80)), text(Unix("/s"))
    ('tcp:[::1]:80', 'unix:/s')
    """
    if isinstance(address, Unix):
        return f"unix:{address.path}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"tcp:{host}:{address.port}"
