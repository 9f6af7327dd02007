"""A training worker: ``python -m tidemill.workers.train HOME``."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from tidemill.workers import one_thread  # isort: split

from tidemill.spec.home import WorkerHome
from tidemill.workers.failure import explain
from tidemill.workers.home import Desk, read_task, write_exit, write_failure
from tidemill.workers.lean import lean
from tidemill.workers.train.host import from_task
from tidemill.workers.train.journey import End, Journey

assert one_thread


def main(root: Path) -> int:
    """Train as the home's task.json says; the exit status of the process."""
    home = WorkerHome(root)
    told_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_stop.set())
    home.exit.unlink(missing_ok=True)
    task = read_task(home)
    desk = Desk(home, task.get("wake", ""))
    try:
        host = from_task(home, task, desk, told_to_stop.is_set)
        end = Journey(host).run()
        if end.stopped:
            host.count_stop()
    except Exception as error:  # a task that cannot be read: nobody else would tell
        end = End(failure=explain(error))
        print(end.failure, flush=True)
    return _leave(home, desk, end)


def _leave(home: WorkerHome, desk: Desk, end: End) -> int:
    code = 0 if end.failure is None else 1
    if end.failure is not None:
        write_failure(home, end.failure)
    if end.artifact is not None:
        desk.note(end.artifact, "artifact")
    write_exit(home, code, **({"stopped": True} if end.stopped else {}))
    desk.ring()
    desk.close()
    return code


if __name__ == "__main__":
    lean()
    sys.exit(main(Path(sys.argv[1]).resolve()))
