"""Keeps the platform of one home alive: holds the port, starts its parts again when they end.

``python -m tidemill.app.supervisor HOME [--host H] [--port P] [--account-id A] [--detach]``.
In front it talks to people: on stdout where it answers, on stderr why it does not. With
``--detach`` it prints one line of JSON once every part has answered, and goes on in the
background: {"ok": true, "server": {…}} or {"ok": false, "error": class, "wanted", "got", "do"}.
Imports little: it stays in memory for as long as the platform runs.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Protocol

from tidemill.app import listener, parts, server_file, workers
from tidemill.app.bell import Bell
from tidemill.app.parts import Part
from tidemill.app.process import end, identify
from tidemill.app.server_file import Server
from tidemill.auth.credentials import load_or_create
from tidemill.errors import Conflict, Invalid, NotReady, TidemillError
from tidemill.spec.home import Home

START_SECONDS = 30.0
MOST_STARTS = 3
GRACE_SECONDS = 8.0
ACCOUNT_DIGITS = 12
PROBE_SECONDS = 0.005
PING = b"GET /ping HTTP/1.1\r\nHost: tidemill\r\nConnection: close\r\n\r\n"
LISTEN_VARIABLE, ACCOUNT_VARIABLE = "TIDEMILL_LISTEN_FD", "TIDEMILL_ACCOUNT_ID"


def run(home: Home, host: str, port: int, account: str, ready: Callable[[Server], None]) -> None:
    """Be the platform until SIGTERM or SIGINT. Raises when it cannot start; says so when it has."""
    lock = _lock(home)
    try:
        # Parts whose supervisor was killed. Jobs and replicas are left alone: they are adopted.
        end(parts.find(home), grace=2.0)
        load_or_create(home.credentials, os.environ)
        with listener.listen(host, port) as public:
            _Supervisor(home, host, public, account).run(ready)
    finally:
        os.close(lock)


class _Supervisor:
    def __init__(self, home: Home, host: str, public: socket.socket, account: str) -> None:
        self._home = home
        self._public = public
        self._stopping = False
        address = listener.url(host, public)
        self._server = Server(address, host, public.getsockname()[1], account)
        environment = {ACCOUNT_VARIABLE: account, LISTEN_VARIABLE: str(public.fileno())}
        self._parts = [
            self._part("router", environment, [public.fileno()]),
            self._part("control-plane", environment, []),
        ]
        self._bell = Bell()

    def run(self, ready: Callable[[Server], None]) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        try:
            self._write()
            for part in self._parts:
                part.start(time.monotonic())
            self._write()
            if self._wait_until_ready():
                self._server = replace(self._server, ready=True)
                self._write()
                ready(self._server)
            while not self._stopping:
                self._bell.wait(self._pause())
                self._tend()
        finally:
            self._end()

    def _part(self, name: str, environment: dict[str, str], files: list[int]) -> Part:
        # -P: a file in the working directory must not stand in for a module.
        command = [sys.executable, "-P", "-m", parts.MODULES[name], str(self._home.root)]
        return Part(name, command, self._home.logs / f"{name}.log", environment, files)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _tend(self) -> None:
        now = time.monotonic()
        if any([part.tend(now) for part in self._parts]):
            with suppress(OSError):  # a full disk must not end what still runs
                self._write()

    def _pause(self) -> float | None:
        now = time.monotonic()
        waits = [w for p in self._parts if (w := p.wait_seconds(now)) is not None]
        return min(waits, default=None)

    def _wait_until_ready(self) -> bool:
        """True when each part has answered; False when told to stop meanwhile."""
        until = time.monotonic() + START_SECONDS
        gateway = str(self._home.socket("gateway"))
        wanted: list[tuple[int, object]] = [
            (socket.AF_UNIX, gateway),
            (self._public.family, _reachable(self._public)),
        ]
        while wanted and not self._stopping:
            if _answers(*wanted[0]):
                wanted.pop(0)
            else:
                self._bell.wait(PROBE_SECONDS)
            self._tend()
            self._check_start(late=time.monotonic() > until)
        return not self._stopping

    def _check_start(self, late: bool) -> None:
        for part in self._parts:
            if part.starts > MOST_STARTS or (late and part is self._parts[-1]):
                raise NotReady(
                    f"{part.name} must start and answer",
                    got="silence" if late else f"{MOST_STARTS} early ends",
                    do=f"See {part.log}, which ends:\n{part.last_lines()}",
                )

    def _write(self) -> None:
        us = identify(os.getpid())
        running = {"supervisor": us} if us else {}
        for part in self._parts:
            if process := part.process():
                running[part.name] = process
        self._server = replace(self._server, parts=running)
        server_file.write(self._home, self._server)

    def _end(self) -> None:
        """The parts first, so that nobody starts again what is ended next: jobs and replicas."""
        self._public.close()
        end([p for part in self._parts if (p := part.process())], grace=GRACE_SECONDS)
        for part in self._parts:
            part.reap()
        if self._stopping:  # not when a start has failed: what was adopted goes on
            workers.end_all(self._home)
            if self._home.sockets != self._home.run:
                shutil.rmtree(self._home.sockets, ignore_errors=True)
        with suppress(FileNotFoundError):
            self._home.server.unlink()
        self._bell.close()


def _reachable(public: socket.socket) -> tuple[str, int]:
    host, port = public.getsockname()[:2]
    return listener.EVERYWHERE.get(host, host).strip("[]"), port


def _answers(family: int, address: object) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(address)  # type: ignore[arg-type]
            probe.sendall(PING)
            return probe.recv(16).startswith(b"HTTP/1.1 ")
        except OSError:
            return False


def _make(home: Home) -> None:
    """The directories of a home, for its owner alone."""
    sockets = home.sockets
    for path in (home.root, home.run, home.logs, home.buckets, home.jobs, home.endpoints, sockets):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sockets.stat().st_uid != os.getuid():  # a directory in /tmp, and another made it first
        raise Conflict(
            f"{sockets} must be ours",
            got=f"owner {sockets.stat().st_uid}",
            do="Choose a home with a shorter path.",
        )


def _lock(home: Home) -> int:
    """Held for as long as this process lives; the kernel gives it back whatever ends us."""
    lock = os.open(home.run / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise _taken(home) from None
    return lock


def _taken(home: Home) -> Conflict:
    server = server_file.read(home)
    known = server and server.supervisor
    return Conflict(
        f"home {home.root} must have one platform",
        got=f"pid {known.pid} at {server.url}" if server and known else "another one starting",
        do="Use it, end it with `tidemill down`, or choose another home with --home.",
    )


def main() -> int:
    """Run in front, or start in the background and say how it went."""
    parser = argparse.ArgumentParser(prog="tidemill.app.supervisor")
    parser.add_argument("home", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8580)
    parser.add_argument("--account-id", default="123456789012")
    parser.add_argument("--detach", action="store_true")
    options = parser.parse_args()
    os.umask(0o077)
    home = Home(options.home.expanduser().resolve())
    voice: _Voice = _ToMachines(1) if options.detach else _ToPeople(home)
    try:
        _check_account(options.account_id)
        _make(home)
        if options.detach:
            voice = _ToMachines(_detach(home))
        run(home, options.host, options.port, options.account_id, voice.ready)
    except TidemillError as error:
        voice.failed(error)
        return 1
    except OSError as error:  # a file where the home should be, a disk that is full or read-only
        do = "Choose a home that can be written with --home, or make room for this one."
        voice.failed(Invalid(f"the platform must start at {home.root}", got=str(error), do=do))
        return 1
    return 0


def _check_account(account: str) -> None:
    if not (len(account) == ACCOUNT_DIGITS and account.isascii() and account.isdecimal()):
        do = "Leave it out to be account 123456789012."
        raise Invalid("--account-id must be twelve digits", got=account, do=do)


class _Voice(Protocol):
    def ready(self, server: Server) -> None: ...

    def failed(self, error: TidemillError) -> None: ...


@dataclass(frozen=True, slots=True)
class _ToPeople:
    home: Home

    def ready(self, server: Server) -> None:
        with suppress(OSError):  # nobody listens any more
            print(f"Tidemill is ready at {server.url} (Ctrl-C ends it)")
            where = shlex.quote(str(self.home.root))
            print(f'for AWS clients: eval "$(tidemill env --home {where})"', flush=True)

    def failed(self, error: TidemillError) -> None:
        print(f"error: {error}", file=sys.stderr)


@dataclass(slots=True)
class _ToMachines:
    """out: closed, and forgotten, once something has been said"""

    out: int

    def ready(self, server: Server) -> None:
        self._say({"ok": True, "server": asdict(server)})

    def failed(self, error: TidemillError) -> None:
        told = {"wanted": error.wanted, "got": error.got, "do": error.do}
        self._say({"ok": False, "error": type(error).__name__, **told})

    def _say(self, said: dict[str, object]) -> None:
        out, self.out = self.out, -1
        with suppress(OSError):  # nobody listens any more, or all has been said
            os.write(out, json.dumps(said, default=str).encode() + b"\n")
            os.close(out)


def _detach(home: Home) -> int:
    """Go on as a child in its own session; the parent passes on what the child says, and ends."""
    hear, say = os.pipe()
    if os.fork():
        os.close(say)
        with open(hear, "rb") as pipe:
            said = pipe.readline()  # nothing, if it died: its log says why
        os.write(1, said)
        os._exit(0 if said.startswith(b'{"ok": true') else 1)
    os.close(hear)
    os.setsid()
    log = os.open(home.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    return say


if __name__ == "__main__":
    sys.exit(main())
