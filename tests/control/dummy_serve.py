"""A replica that keeps the contract and echoes: ``dummy_serve.py HOME``.

Environment of its model: mode: serve · fail · die · wait · hang (answers nothing once ready).
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from tidemill.spec.frame import PING, PONG, RESPONSE, pack, unpack

home = Path(sys.argv[1])
task = json.loads((home / "task.json").read_text())
mode = task["environment"].get("mode", "serve")
alone = (home / "alone").open("a")
try:
    fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    (home / "DOUBLED").touch()
    sys.exit(3)
with (home / "attempts").open("a") as file:
    file.write(f"{task['attempt']}\n")
if mode == "fail" or (mode == "fail-once" and task["attempt"] == 1):
    (home / "output" / "failure").write_text("ClientError: model.tar.gz: no such object")
    (home / "exit.json").write_text('{"code": 1}')
    sys.exit(1)
if mode == "die":
    os.kill(os.getpid(), signal.SIGKILL)
if mode == "wait":
    time.sleep(600)


def leave(*_: object) -> None:
    Path(task["socket"]).unlink(missing_ok=True)
    (home / "exit.json").write_text('{"code": 0}')
    os._exit(0)


def serve(connection: socket.socket) -> None:
    rest = b""
    while piece := connection.recv(65536):
        frames, used = unpack(rest + piece)
        rest = (rest + piece)[used:]
        for frame in frames:
            kind = PONG if frame.kind == PING else RESPONSE
            connection.sendall(pack(kind, frame.id, 200, b"\n", task["model_uri"].encode()))


signal.signal(signal.SIGTERM, leave)
Path(task["socket"]).unlink(missing_ok=True)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(task["socket"])
listener.listen()
with (home / "events.jsonl").open("a") as events:
    event = {"time": time.time(), "kind": "ready", "message": f"unix:{task['socket']}"}
    events.write(json.dumps(event) + "\n")
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell, contextlib.suppress(OSError):
    bell.sendto(b"wake", task["wake"])
while True:
    connection, _ = listener.accept()
    if mode == "hang":
        time.sleep(600)
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
