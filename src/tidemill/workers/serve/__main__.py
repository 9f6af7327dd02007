"""A replica: ``python -m tidemill.workers.serve HOME``."""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidemill.workers import one_thread  # isort: split

from tidemill.kernels.allocator import keep_memory
from tidemill.spec.address import Unix, parse, text
from tidemill.spec.home import WorkerHome
from tidemill.storage.bucket import Buckets
from tidemill.workers.failure import explain
from tidemill.workers.home import Desk, read_task, write_exit, write_failure
from tidemill.workers.lean import lean
from tidemill.workers.serve.choose import choose
from tidemill.workers.serve.learning.learner import Learner
from tidemill.workers.serve.server import Server, listen
from tidemill.workers.serve.shelf import Shelf
from tidemill.workers.serve.user.hosted import Deferred

assert one_thread


def main(root: Path) -> int:
    """Serve as the home's task.json says, until SIGTERM; the exit status of the process."""
    home = WorkerHome(root)
    told_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_stop.set())
    home.exit.unlink(missing_ok=True)
    task = read_task(home)
    desk = Desk(home, task.get("wake", ""))
    code = 0
    try:
        _serve(home, task, desk, told_to_stop)
    except Exception as error:
        failure = explain(error)
        print(failure, flush=True)
        write_failure(home, failure)
        code = 1
    write_exit(home, code)
    desk.ring()
    desk.close()
    return code


def _serve(
    home: WorkerHome, task: Mapping[str, Any], desk: Desk, told_to_stop: threading.Event
) -> None:
    buckets = Buckets(Path(task["buckets"]))
    bell, ringer = socket.socketpair()
    ringer.setblocking(False)
    signal.set_wakeup_fd(ringer.fileno(), warn_on_full_buffer=False)

    def ring() -> None:
        with contextlib.suppress(BlockingIOError):  # so full that it rings already
            ringer.send(b"!")

    answers, said = choose(home, buckets, task, lambda text: print(text, flush=True), ring)
    later = answers.later if isinstance(answers, Shelf | Deferred) else None
    wanted = parse(task.get("address") or f"unix:{task['socket']}")
    if isinstance(wanted, Unix):
        Path(wanted.path).parent.mkdir(parents=True, exist_ok=True)
        Path(wanted.path).unlink(missing_ok=True)
    listener, where = listen(wanted)
    server = Server(listener, answers, bell, told_to_stop.is_set, later)
    # What was loaded stays to the end: the collector need not look at it again and again.
    gc.freeze()
    desk.ready(text(where))
    print(f"Serving {said} on {text(where)}", flush=True)
    server.run()
    if isinstance(answers, Learner | Deferred):
        answers.close()
    if isinstance(where, Unix):
        Path(where.path).unlink(missing_ok=True)


if __name__ == "__main__":
    lean()
    keep_memory()
    sys.exit(main(Path(sys.argv[1]).resolve()))
