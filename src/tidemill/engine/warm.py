"""The warm process: imports what workers need, then forks one for each order that it is given.

``python -P -m tidemill.engine.warm MODULE… -- PRELOADED… ROOM``, with a socket to the control plane
as its standard input; it ends when that is closed. It has one thread, and no other file but its
log. A child becomes what ``python -P -m MODULE ARGUMENT…`` would be, to its name in ``ps``.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tidemill.engine.process import Process

INTERPRETER = (sys.executable, "-P", "-m")
"""How every command begins that a fork can stand for; the module's name follows."""
ROOM = 1_024
"""Bytes of a command line, at most: what the last argument, of blanks, reserves."""
READY = b"ready"
LONGEST_ORDER = 1 << 16
_MOST_FILES = 3
_STAT = Path("/proc/self/stat")


def main(arguments: Sequence[str]) -> None:
    """Run until the control plane has gone, or as one of the workers that were asked for."""
    border = arguments.index("--")
    order = _serve(arguments[:border], arguments[border + 1 : -1])
    if order is not None:
        sys.argv = ["", *order["arguments"]]
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


def _serve(modules: Sequence[str], preload: Sequence[str]) -> Mapping[str, Any] | None:
    """Fork workers until there is nobody to ask for them: None. In a worker: its order."""
    channel, name = socket.socket(fileno=0), _Name()
    _warm_up(modules, preload)
    name.write([*INTERPRETER, "tidemill.engine.warm"])
    with suppress(OSError):  # gone already
        channel.send(READY)
    while (found := _next(channel)) is not None:
        order, files = found
        if "pid" in order:
            _bury(order, *files)
        elif _is_child():
            channel.detach()
            _become(order, name, *files)
            return order
        for file in files:
            os.close(file)
    return None


def _next(channel: socket.socket) -> tuple[Mapping[str, Any], list[int]] | None:
    """An order, and the files that came with it; None when there will be no more."""
    with suppress(ConnectionResetError):
        said, files, _, _ = socket.recv_fds(channel, LONGEST_ORDER, _MOST_FILES)
        return (json.loads(said), files) if said else None
    return None


def _is_child() -> bool:
    """Fork, and say who this is now."""
    with suppress(OSError):  # no process to be had: whoever asked sees it by the closed file
        return os.fork() == 0
    return False


def _warm_up(modules: Sequence[str], preload: Sequence[str]) -> None:
    # What is there now stays: the collector, whose marks would make each child copy all of it,
    # is to pass it over.
    gc.disable()
    for module in modules:  # first, for they set how many threads the libraries may have
        importlib.import_module(f"{module}.__main__")
        del sys.modules[f"{module}.__main__"]  # each child runs it anew, as ``-m`` does
    for name in preload:
        with suppress(Exception):  # it fails again, and is told of, where it is needed
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:  # a child would have the locks that the others held, and not the others
        raise SystemExit(f"workers are not forked from a process of {threads} threads")


def _become(order: Mapping[str, Any], name: _Name, reply: int, lock: int, log: int) -> None:
    """Turn this fork into the worker that was ordered, and say so."""
    os.setsid()
    os.chdir(order["home"])
    null = os.open(os.devnull, os.O_RDWR)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(log)
    os.set_inheritable(lock, False)
    name.write([*INTERPRETER, order["module"], *order["arguments"]])
    # From here on whoever finds the lock taken can tell by whom, though all others be killed.
    stat = _STAT.read_bytes()
    Path("pid").write_bytes(stat)
    with suppress(OSError):  # nobody waits any more: the next control plane will find us
        os.write(reply, stat)
    os.close(reply)
    if numbers := sys.modules.get("numpy.random"):  # ``random`` itself sees to it at a fork
        numbers.seed()
    gc.enable()


def _bury(order: Mapping[str, Any], reply: int) -> None:
    code = Process(order["pid"], order["start"]).bury()
    if code is not None:
        with suppress(OSError):
            os.write(reply, str(code).encode())


class _Name:
    """The command line that others see, written over the one that the process was started with."""

    def __init__(self) -> None:
        stat = _STAT.read_bytes()
        fields = stat[stat.rindex(b")") + 2 :].split()
        # Fields 48 and 49 of proc(5), the first of these being its third.
        self._at, end = int(fields[45]), int(fields[46])
        self._size = end - self._at
        if self._at == 0 or self._size < ROOM:
            raise SystemExit("workers are not forked where their command lines cannot be set")

    def write(self, command: Sequence[str]) -> None:
        line = b"".join(os.fsencode(word) + b"\0" for word in command)
        assert len(line) <= self._size, "the control plane sends no longer ones"
        ctypes.memmove(self._at, line.ljust(self._size, b"\0"), self._size)


if __name__ == "__main__":
    main(sys.argv[1:])
