"""The worker of a user's program: ``python -m tidemill.workers.script HOME``."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

from tidemill.spec.home import WorkerHome
from tidemill.workers import opt_ml
from tidemill.workers.home import Desk, read_task, write_exit, write_text
from tidemill.workers.script.host import from_task
from tidemill.workers.script.journey import End, Journey


def main(root: Path) -> int:
    """Run as the home's task.json says; the exit status of the process."""
    home = WorkerHome(root)
    told_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_stop.set())
    home.exit.unlink(missing_ok=True)
    task = read_task(home)
    desk = Desk(home, task.get("wake", ""))
    try:
        end = Journey(from_task(home, task, desk, told_to_stop.is_set)).run()
    except Exception as error:  # a task that cannot be read: nobody else would tell
        end = End(failure=f"AlgorithmError: {error!r}", code=1)
        print(end.failure, flush=True)
    return _leave(home, desk, end)


def _leave(home: WorkerHome, desk: Desk, end: End) -> int:
    if end.failure is not None:
        with suppress(OSError):  # the program may have left anything in its place
            write_text(home.failure, end.failure)
    if end.artifact is not None:
        desk.note(end.artifact, "artifact")
    for used in ("python", "code"):
        shutil.rmtree(home.root / used, ignore_errors=True)
    opt_ml.clear(home.root)
    write_exit(home, end.code, **({"stopped": True} if end.stopped else {}))
    desk.ring()
    desk.close()
    return end.code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
