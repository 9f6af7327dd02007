"""The worker of a processing job: ``python -m tidemill.workers.process HOME``."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from pathlib import Path

from tidemill.spec.home import WorkerHome
from tidemill.workers import opt_ml
from tidemill.workers.home import Desk, read_task, write_exit, write_text
from tidemill.workers.process.host import from_task
from tidemill.workers.process.journey import End, Journey


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
        write_text(home.failure, end.failure)
    write_exit(home, end.code, **({"stopped": True} if end.stopped else {}))
    desk.ring()
    desk.close()
    for used in (home.processing, home.root / "python", home.root / "code"):
        shutil.rmtree(used, ignore_errors=True)
    opt_ml.clear(home.root)
    return end.code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
