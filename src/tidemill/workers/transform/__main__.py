"""A host of a batch transform job: ``python -m tidemill.workers.transform HOME``."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tidemill.workers import one_thread  # isort: split

from tidemill.kernels.allocator import keep_memory
from tidemill.spec.home import WorkerHome
from tidemill.spec.model import Container
from tidemill.spec.transform_job import TransformJob, from_document
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets
from tidemill.workers.failure import explain
from tidemill.workers.home import Desk, read_task, write_exit, write_failure
from tidemill.workers.lean import lean
from tidemill.workers.serve.choose import Place, in_turn, open_all
from tidemill.workers.transform.exchange import Exchange
from tidemill.workers.transform.objects import Done, dealt
from tidemill.workers.transform.run import Run, Stopped

assert one_thread

REQUEST_SECONDS = 600.0
"""That user code may take for a request, as InvocationsTimeoutInSeconds is by default."""


def main(root: Path) -> int:
    """Transform as the home's task.json says; the exit status of the process."""
    home = WorkerHome(root)
    told_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_stop.set())
    home.exit.unlink(missing_ok=True)
    task = read_task(home)
    desk = Desk(home, task.get("wake", ""))
    code, more = 0, {}
    try:
        _transform(home, task, desk, told_to_stop.is_set)
    except Stopped:
        more = {"stopped": True}
    except Exception as error:
        failure = explain(error)
        print(failure, flush=True)
        write_failure(home, failure)
        code = 1
    write_exit(home, code, **more)
    desk.ring()
    desk.close()
    return code


def _transform(
    home: WorkerHome, task: Mapping[str, Any], desk: Desk, wants_to_stop: Callable[[], bool]
) -> None:
    job = from_document(task["job"])
    print(_settings(job), flush=True)
    buckets = Buckets(Path(task["buckets"]))
    buckets.require(uri.parse(job.output_uri)[0])
    index = list(task["hosts"]).index(task["host"])
    share = dealt(job, buckets, Path(task["shared"]), index)
    place = Place(home.model, buckets, REQUEST_SECONDS, job.region)
    opened = list(open_all(_steps(job), place, _complain, is_read=True, last_too=True))
    exchange = Exchange(job, in_turn(opened), opened[0].default_type)
    done = Done(home.root / "done")
    try:
        wrong = Run(job, buckets, exchange, done, desk, wants_to_stop).all(share)
    finally:
        for one in opened:
            one.close()
    if wrong:
        # A note and no exit code: the other hosts go on with their objects.
        count = f"{len(wrong)} of {len(share)} objects of {task['host']} have no output"
        desk.note(f"ClientError: {count}: {wrong[0]}", "failure")


def _steps(job: TransformJob) -> list[Container]:
    """The containers as this job sets their environment."""
    return [replace(one, environment={**one.environment, **job.environment}) for one in job.steps]


def _complain(text: str) -> None:
    print(text, flush=True)


def _settings(job: TransformJob) -> str:
    """As SageMaker's data log begins."""
    strategy = "MULTI_RECORD" if job.strategy == "MultiRecord" else "SINGLE_RECORD"
    return (
        f"[sagemaker logs]: MaxConcurrentTransforms={job.concurrent}, "
        f"MaxPayloadInMB={job.payload_megabytes}, BatchStrategy={strategy}"
    )


if __name__ == "__main__":
    lean()
    keep_memory()
    sys.exit(main(Path(sys.argv[1]).resolve()))
