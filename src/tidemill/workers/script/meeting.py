"""Where the hosts of a job meet: a port to talk to each other by, and word of what each made."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tidemill.workers.home import write_json

_PAUSE = 0.05


def port(shared: Path) -> int:
    """A port that was free when the first of the hosts asked; the same for all of them."""
    path = shared / "port"
    if not path.exists():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            draft = shared / f"port.{os.getpid()}"
            draft.write_text(str(probe.getsockname()[1]))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return int(path.read_text())


def take_back(shared: Path, host: str) -> None:
    """Forget what an earlier attempt of a host said."""
    _word(shared, host).unlink(missing_ok=True)


def hand_over(shared: Path, host: str, home: Path) -> None:
    """Say that the program of a host has ended, and that what it made lies in a home."""
    write_json(_word(shared, host), {"home": str(home)})


def collect(
    shared: Path, hosts: Sequence[str], wants_to_stop: Callable[[], bool], patience: float
) -> list[Path]:
    """The homes of those hosts, once all have ended.

    patience: seconds to wait for them when all are to stop; what comes later is left out
    """
    homes, end = [], math.inf
    for host in hosts:
        word = _word(shared, host)
        while not word.exists() and time.monotonic() < end:
            time.sleep(_PAUSE)
            if end == math.inf and wants_to_stop():
                end = time.monotonic() + patience
        if word.exists():
            homes.append(Path(json.loads(word.read_text())["home"]))
    return homes


def _word(shared: Path, host: str) -> Path:
    return shared / f"{host}.done"
