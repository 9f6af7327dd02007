"""One host's journey through a processing job: inputs, the program, outputs."""

from __future__ import annotations

import json
import shutil
import stat
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tidemill.errors import Missing, TidemillError
from tidemill.spec.processing_job import problem
from tidemill.storage import uri
from tidemill.workers import opt_ml
from tidemill.workers.home import write_json
from tidemill.workers.process import command
from tidemill.workers.process.config import write_config
from tidemill.workers.process.host import Host
from tidemill.workers.process.inputs import Stopped, bring_all
from tidemill.workers.process.outputs import Outlet, Stream
from tidemill.workers.script import packages
from tidemill.workers.script.host import say
from tidemill.workers.script.program import Outcome, error_of, run

PATIENCE = 2.0
"""Seconds before an image that cannot run is told: AWS takes minutes to find out, and whoever
stops what was only just started finds it Stopped."""
_GLANCE = 0.02
_KILLED = 137
_LONGEST_MESSAGE = 1024


@dataclass(frozen=True, slots=True)
class End:
    """How it ended. code: the worker's own exit status"""

    stopped: bool = False
    failure: str | None = None
    code: int = 0


class _Refused(Exception):
    """The job can never run here; the text is its FailureReason."""


class Journey:
    """``run`` it once; whatever happens it comes back with an ``End``."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._ran = host.home.root / "ran.json"

    def run(self) -> End:
        """Take all the steps, or say why it could not."""
        try:
            return self._run()
        except Stopped:
            return End(stopped=True)
        except _Refused as error:
            failure = str(error)
        except TidemillError as error:
            failure = f"ClientError: {error}"
        except Exception as error:
            failure = f"AlgorithmError: {error!r}"
            traceback.print_exc()
        say(failure, "ERROR")
        return End(failure=failure, code=1)

    def _run(self) -> End:
        host = self._host
        self._refuse()
        outlets = [self._outlet(number) for number in range(len(host.job.outputs))]
        if not self._ran.exists():  # else a worker was killed when only the upload was left
            end = self._execute(outlets)
            self._tell_message()
            if end.failure is not None or end.stopped:
                return end
            write_json(self._ran, {"stopped": host.wants_to_stop()})
        for output, outlet in zip(host.job.outputs, outlets, strict=True):
            say(f"Output {output.name!r}: {outlet.finish()} files to {output.uri}")
        return End(stopped=bool(json.loads(self._ran.read_text())["stopped"]))

    def _refuse(self) -> None:
        """Raise for what can never run here, and for buckets that are missing."""
        reason = problem(self._host.job)
        if reason is not None:
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:
                self._unless_stopped()
                time.sleep(_GLANCE)
            raise _Refused(reason)
        for output in self._host.job.outputs:
            # Found missing at the end it would cost all the work before.
            self._host.buckets.require(uri.parse(output.uri)[0])

    def _outlet(self, number: int) -> Outlet:
        host = self._host
        output = host.job.outputs[number]
        record = host.home.root / "sent" / str(number)
        record.parent.mkdir(exist_ok=True)
        return Outlet(host.buckets, output.uri, host.place(output), record)

    def _execute(self, outlets: Sequence[Outlet]) -> End:
        """Run the program from the beginning, whatever an earlier attempt had done."""
        host, job = self._host, self._host.job
        self._begin(outlets)
        shields = bring_all(host)
        python = packages.make(host.home.root / "python", packages.ours())
        self._warn_of_missing(python)
        argv = command.resolved(job.command, str(python.executable), host.opt_ml)
        self._unless_stopped()
        say(f"Running: {' '.join(argv)}")
        flowing = [o for o, told in zip(outlets, job.outputs, strict=True) if told.continuous]
        with Stream(flowing, lambda text: say(text, "WARNING")):
            outcome = run(
                host.opt_ml.command(
                    argv, cwd=host.code, shields=shields, hosts=host.names, whole_group=True
                ),
                command.variables(host, python),
                wants_to_stop=host.wants_to_stop,
                grace=host.grace,
            )
        if outcome.code == 0:
            return End()
        if host.wants_to_stop():
            return End(stopped=True)
        return self._failed(outcome)

    def _begin(self, outlets: Sequence[Outlet]) -> None:
        host = self._host
        opt_ml.clear(host.home.root)
        for place in (host.home.processing, host.code):
            shutil.rmtree(place, ignore_errors=True)
        host.code.mkdir()
        host.home.output.mkdir(exist_ok=True)
        host.message.unlink(missing_ok=True)
        for outlet in outlets:
            outlet.begin()
        for output in host.job.outputs:
            host.place(output).mkdir(parents=True, exist_ok=True)
        write_config(host)
        if not host.opt_ml.is_real:
            say(
                f"/opt/ml lies at {host.opt_ml.base}: this machine allows no namespaces. Paths in "
                "the command are changed; programs must read others from SAGEMAKER_BASE_DIR.",
                "WARNING",
            )

    def _warn_of_missing(self, python: packages.Python) -> None:
        found = self._host.job.framework
        if found is None:
            return
        try:
            packages.check(found, python, self._host.code)
        except Missing as error:  # no failure: the program may do without
            say(str(error), "WARNING")

    def _failed(self, outcome: Outcome) -> End:
        why = error_of(outcome.tail)
        if outcome.code == _KILLED:
            why = f"It was killed (SIGKILL), as happens when memory runs out. {why}"
        failure = f"AlgorithmError: {why}"
        say(f"{failure}, exit code: {outcome.code}", "ERROR")
        return End(failure=failure, code=outcome.code)

    def _tell_message(self) -> None:
        """Hand on what the program itself wrote to /opt/ml/output/message."""
        path: Path = self._host.message
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return
            with path.open("rb") as file:
                text = file.read(_LONGEST_MESSAGE).decode(errors="ignore")
        except OSError:
            return
        if text:
            self._host.desk.note(text, f"message/{self._host.name}")

    def _unless_stopped(self) -> None:
        if self._host.wants_to_stop():
            raise Stopped
