"""The process that learns beside a replica: ``python -m tidemill.workers.serve.learning HOME``.

It leads as long as it lives: the lock is its own, inherited from the replica that started it. It
ends with that replica, whose end of standard input then closes. Versions in the making are not
lost: who leads next goes on with them.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tidemill.workers import one_thread  # isort: split

from tidemill.artifact import archive
from tidemill.spec.home import WorkerHome
from tidemill.spec.learning import Learning, wanted
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets
from tidemill.workers.home import read_task
from tidemill.workers.lean import lean
from tidemill.workers.serve.learning.leader import Leader, Publish
from tidemill.workers.serve.learning.opened import Opened, open_artifact
from tidemill.workers.serve.learning.places import Places

assert one_thread

POLL_SECONDS = 0.1
NICE = 10
"""Those who wait for answers come first."""


def main(root: Path) -> int:
    """Make versions until the replica ends."""
    os.nice(NICE)
    home = WorkerHome(root)
    task = read_task(home)
    settings = wanted(task["environment"]) or Learning()
    opened = open_artifact(task["image"], home.model, task["model_uri"])
    places = Places(Path(task["learning"]))
    publish = _publisher(task, settings, opened)
    leader = Leader(opened, places, publish, _say, settings.half_life)
    pause = 0.0
    while not _replica_ended(pause):
        begun = time.monotonic()
        made = leader.round()
        pause = max(0.0, settings.seconds - (time.monotonic() - begun)) if made else POLL_SECONDS
    return 0


def _replica_ended(within: float) -> bool:
    return bool(select.select([0], [], [], within)[0])


def _publisher(task: Mapping[str, str], settings: Learning, opened: Opened) -> Publish:
    """What puts every version's artifact into S3, where that is asked for."""
    buckets = Buckets(Path(task["buckets"]))
    fleet = Path(task["learning"]).name

    def publish(number: int, files: Mapping[str, bytes]) -> None:
        if not settings.output:
            return
        name = f"version-{number:06d}"
        place = uri.join(settings.output, task["endpoint"], fleet, name, "model.tar.gz")
        every = {**files, **opened.exported(files[archive.MODEL])}
        packed = archive.pack(opened.declaration.name, opened.hyperparameters, every)
        buckets.put_bytes(*uri.parse(place), packed)

    return publish


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    lean()
    sys.exit(main(Path(sys.argv[1]).resolve()))
