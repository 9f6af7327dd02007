"""One process of user code, as the replica sees it: started, asked, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tidemill.errors import Invalid
from tidemill.spec.frame import REQUEST, Frame, pack
from tidemill.workers.serve.answers import Answer
from tidemill.workers.serve.user import wire

GRACE_SECONDS = 1.0
"""From SIGTERM to SIGKILL, for one that is asked nothing any more."""
_SILENT = "It ended before it could say why"


class Gone(Exception):
    """It ended, and the answer will not come."""


class Process:
    """Use it from the thread that made it: it dies with that thread.

    command: what to run, given the file of its end of the socket
    """

    def __init__(self, command: Callable[[int], list[str]], variables: Mapping[str, str]) -> None:
        self._sock, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                command(theirs.fileno()),
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self.began = time.monotonic()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self, patience: float) -> None:
        """Return once its model is loaded; raises Invalid, the process ended, when it is not."""
        try:
            self._sock.settimeout(patience)
            said = wire.receive(self._sock)
        except TimeoutError:
            self.end()
            raise Invalid(
                f"user code that loads its model within {patience:g} s",
                got="no word of it",
                do="Raise SAGEMAKER_STARTUP_TIMEOUT, or make model_fn faster.",
            ) from None
        except OSError:
            said = None
        if said is not None and said.status == 200:
            return
        self.end()
        got = said.body.decode(errors="replace") if said else f"{_SILENT} ({self.ended()})"
        raise Invalid(
            "user code that starts and loads its model",
            got=got,
            do="The log has all of it. Correct the code, or what is in model.tar.gz.",
        )

    def ask(self, frame: Frame, patience: float) -> Answer:
        """The answer to one request. Raises TimeoutError, and Gone when the process is."""
        end = time.monotonic() + patience
        try:
            self._sock.settimeout(patience)
            self._sock.sendall(pack(REQUEST, frame.id, 0, frame.head, frame.body))
            self._sock.settimeout(max(0.001, end - time.monotonic()))
            said = wire.receive(self._sock)
        except TimeoutError:
            raise
        except OSError:
            said = None
        if said is None:
            raise Gone
        return Answer(said.status, said.head, said.body)

    def ended(self) -> str:
        """How it ended, in words; waits a moment for it."""
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(GRACE_SECONDS)
            number = -code if code < 0 else code - 128
            return f"killed by signal {number}" if number > 0 else f"exit code {code}"
        return "it closed its socket"

    def end(self) -> None:
        """Let it end, and everything that it has started; it is over when this returns."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        self._sock.close()
        for pid in (None, *_children(self._process.pid)):
            if pid is not None:  # whoever started it sees to what it leaves behind
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_SECONDS)
                return
        self._process.kill()
        self._process.wait()


def _children(pid: int) -> list[int]:
    """Without namespaces nothing else would end a program that shrugs SIGTERM off."""
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
