"""A training worker that keeps the contract and learns nothing: ``dummy_train.py HOME``.

Hyperparameters: steps, pause (seconds a step), mode: learn · fail · raise · die · deaf.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

home = Path(sys.argv[1])
task = json.loads((home / "task.json").read_text())
job = task["job"]
settings = job["hyperparameters"]
alone = (home / "alone").open("a")
try:
    fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    (home / "DOUBLED").touch()
    sys.exit(3)
with (home / "attempts").open("a") as file:
    file.write(f"{task['attempt']}\n")
stopped = False


def stop(*_: object) -> None:
    global stopped
    stopped = settings.get("mode") != "deaf"


signal.signal(signal.SIGTERM, stop)
bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
events = (home / "events.jsonl").open("a")


def tell(kind: str, **fields: object) -> None:
    events.write(json.dumps({"time": time.time(), "kind": kind, **fields}) + "\n")
    events.flush()
    with contextlib.suppress(OSError):
        bell.sendto(b"wake", task["wake"])


def leave(code: int, **more: object) -> None:
    (home / "exit.new").write_text(json.dumps({"code": code, **more}))
    (home / "exit.new").replace(home / "exit.json")
    tell("note", message="bye")
    sys.exit(code)


mode, steps = settings.get("mode", "learn"), int(settings.get("steps", "3"))
tell("status", name="Downloading")
if mode == "die":
    os.kill(os.getpid(), signal.SIGKILL)
if mode == "raise":
    print("the last line of a traceback", flush=True)
    sys.exit(2)
if mode == "fail":
    (home / "output").mkdir(exist_ok=True)
    (home / "output" / "failure").write_text("ClientError: train: no such file")
    leave(1)
tell("status", name="Training")
checkpoint = home / "checkpoint"
done = int(checkpoint.read_text()) if checkpoint.exists() else 0
while done < steps and not stopped:
    time.sleep(float(settings.get("pause", "0.01")))
    done += 1
    (home / "checkpoint.new").write_text(str(done))
    (home / "checkpoint.new").replace(checkpoint)
    tell("progress", value=done / steps, message=f"step {done}")
    tell("metric", name="train:step", value=done)
tell("status", name="Uploading")
tell("note", name="artifact", message=f"{job['output_uri']}/{job['name']}/output/model.tar.gz")
leave(0, **({"stopped": True} if stopped else {}))
