"""A replica's loop: take what has queued on all connections, answer it at once, and again.

While one batch is computed the next one gathers in the sockets: under load batches grow by
themselves, and a lone request waits for nobody.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Sequence

from tidemill.spec.address import Tcp, Unix
from tidemill.spec.frame import Frame
from tidemill.workers.serve.answers import Answer
from tidemill.workers.serve.connection import Connection
from tidemill.workers.serve.streams import Streams

DRAIN_SECONDS, STREAMS_SECONDS = 10.0, 25.0
"""So long one that is to end goes on for what has come, and for answers in parts: control kills it
after 30 s."""
QUIET_SECONDS = 0.1
"""So long nothing must come before a replica that is to end takes it that all was answered."""
LOOK_SECONDS = 1.0
"""How often one that answers some requests later looks for what is due, if no bell rings."""
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Server:
    """Serves one listening stream socket until ``stop``, then drains.

    answers: gives None for requests that are answered later · later: the answers that are due now
    bell: becomes readable when a signal came or something is due, so that waiting ends
    """

    def __init__(
        self,
        listener: socket.socket,
        answers: Callable[[Sequence[Frame]], Sequence[Answer | None]],
        bell: socket.socket,
        wants_to_stop: Callable[[], bool],
        later: Callable[[], Sequence[tuple[Frame, Answer]]] | None = None,
    ) -> None:
        listener.setblocking(False)
        self._listener, self._answers, self._bell = listener, answers, bell
        self._wants_to_stop, self._later = wants_to_stop, later
        self._owed: dict[int, tuple[Frame, Connection]] = {}  # by id(frame)
        self._beat = 0.0
        self._streams = Streams(answers)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, _READ)
        self._selector.register(bell, _READ)
        self._connections: set[Connection] = set()

    def run(self) -> None:
        """Serve until told to stop; then answer what has come, and return."""
        patience = None if self._later is None else LOOK_SECONDS
        while not self._wants_to_stop():
            self._turn(patience)
        self._selector.unregister(self._listener)
        self._listener.close()
        began = time.monotonic()
        while time.monotonic() < began + (STREAMS_SECONDS if self._streams else DRAIN_SECONDS):
            came = self._turn(QUIET_SECONDS)
            under_way = self._owed or self._streams or any(c.is_amid for c in self._connections)
            if not (came or under_way):
                break
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()

    def _turn(self, timeout: float | None) -> bool:
        """One round: read, answer, write. Whether anything came."""
        gathered: list[tuple[Connection, list[Frame]]] = []
        events = self._selector.select(0 if self._streams.has_work else timeout)
        for key, mask in events:
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._bell:
                self._bell.recv(4096)
            else:
                frames = self._attend(key.data, mask)
                if key.data.about_streams:
                    about, key.data.about_streams = key.data.about_streams, []
                    frames = frames + self._streams.take(key.data, about)
                if frames:
                    gathered.append((key.data, frames))
        if gathered:
            self._answer(gathered)
        if self._later is not None:
            self._pay(self._later())
        if self._streams.has_work:
            self._push(*self._streams.step())
        return bool(events)

    def _attend(self, connection: Connection, mask: int) -> list[Frame]:
        try:
            if mask & _WRITE:
                connection.flush()
                self._listen_for(connection)
            return connection.receive() if mask & _READ else []
        except OSError:
            self._drop(connection)
            return []

    def _answer(self, gathered: Sequence[tuple[Connection, list[Frame]]]) -> None:
        answers = self._answers([frame for _, frames in gathered for frame in frames])
        at = 0
        for connection, frames in gathered:
            mine = answers[at : at + len(frames)]
            at += len(frames)
            if self._later is not None:
                pairs = list(zip(frames, mine, strict=True))
                self._owed |= {id(f): (f, connection) for f, answer in pairs if answer is None}
                frames = [frame for frame, answer in pairs if answer is not None]
            self._send(connection, frames, [answer for answer in mine if answer is not None])

    def _send(
        self, connection: Connection, frames: Sequence[Frame], answers: Sequence[Answer]
    ) -> None:
        try:
            connection.answer(frames, answers)
            if connection.has_unsent:
                self._listen_for(connection)
        except OSError:
            self._drop(connection)

    def _push(self, connection: Connection, frames: bytes) -> None:
        try:
            connection.send(frames)
            if connection.has_unsent:
                self._listen_for(connection)
        except OSError:
            self._drop(connection)

    def _pay(self, due: Sequence[tuple[Frame, Answer]]) -> None:
        """Send answers that come later; to those that wait on, a sign of life now and then."""
        for frame, answer in due:
            _, connection = self._owed.pop(id(frame), (frame, None))
            if connection is not None:
                self._send(connection, [frame], [answer])
        now = time.monotonic()
        if self._owed and now - self._beat >= LOOK_SECONDS:
            self._beat = now
            for connection in {connection for _, connection in self._owed.values()}:
                self._beat_at(connection)

    def _beat_at(self, connection: Connection) -> None:
        try:
            connection.beat()
        except OSError:
            self._drop(connection)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # gone again, or no file left: others wait in the queue meanwhile
            return
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock)
        self._connections.add(connection)
        self._selector.register(sock, _READ, connection)

    def _listen_for(self, connection: Connection) -> None:
        """Wait for room while there is something to send; read nothing more while too much is."""
        mask = 0 if connection.is_full else _READ
        mask |= _WRITE if connection.has_unsent else 0
        self._selector.modify(connection.sock, mask, connection)

    def _drop(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
            self._owed = {k: v for k, v in self._owed.items() if v[1] is not connection}
            self._streams.forget(connection)
            self._selector.unregister(connection.sock)
            connection.sock.close()


def listen(where: Unix | Tcp) -> tuple[socket.socket, Unix | Tcp]:
    """A listening stream socket, and where it is found: a port of 0 is chosen now."""
    if isinstance(where, Unix):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(where.path)
        sock.listen(1024)
        return sock, where
    sock = socket.create_server(
        (where.host, where.port),
        family=socket.AF_INET6 if ":" in where.host else socket.AF_INET,
        backlog=1024,
    )
    return sock, Tcp(where.host, sock.getsockname()[1])
