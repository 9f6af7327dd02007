"""A process that runs a user's handlers: ``python -P -m tidemill.workers.serve.user.child …``.

It answers the frames of its socket one by one, as long as the replica holds the other end. What it
says first is how the start went: a RESPONSE of status 200, or of 500 with the reason.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import traceback
from pathlib import Path

from tidemill.spec.frame import RESPONSE, pack
from tidemill.workers.serve.user import stand_ins, wire
from tidemill.workers.serve.user.bodies import JSON
from tidemill.workers.serve.user.handlers import Handlers

DEFAULT_ACCEPT = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"
_FRAMEWORKS = "tidemill.workers.serve.user.frameworks"


def main(file: int, model_dir: str, code: str, program: str, framework: str) -> int:
    """Serve until the socket is closed. program: a file of ``code``, or empty for none

    framework: the module of ``frameworks`` whose handlers stand in
    """
    os.set_inheritable(file, False)
    with socket.socket(fileno=file) as sock:
        try:
            handlers = _load(model_dir, code, program, framework)
        except Exception as error:
            traceback.print_exc()
            sys.stderr.flush()
            reason = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
            sock.sendall(pack(RESPONSE, 0, 500, b"", reason.encode(errors="replace")))
            return 1
        sock.sendall(pack(RESPONSE, 0, 200, b"", b""))
        while (frame := wire.receive(sock)) is not None:
            reply = handlers.answer(frame)
            sock.sendall(pack(RESPONSE, frame.id, reply.status, reply.head, reply.body))
    return 0


def _load(model_dir: str, code: str, program: str, framework: str) -> Handlers:
    sys.path[:0] = [code]
    stand_ins.offer()
    module = None
    if program:
        name = Path(program).with_suffix("").as_posix().replace("/", ".")
        module = importlib.import_module(name)
    accept = os.environ.get(DEFAULT_ACCEPT) or JSON
    defaults = importlib.import_module(f"{_FRAMEWORKS}.{framework}").Handlers(accept)
    handlers = Handlers(module, defaults, accept)
    handlers.load(model_dir)
    return handlers


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:6]))
