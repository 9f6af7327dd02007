"""One host's journey through a job that runs a user's program."""

from __future__ import annotations

import importlib
import os
import shutil
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tidemill.errors import Invalid, TidemillError
from tidemill.spec import framework
from tidemill.storage import uri
from tidemill.workers import opt_ml
from tidemill.workers.inputs.config import write_config
from tidemill.workers.inputs.download import Files, download
from tidemill.workers.metric_tap import MetricTap
from tidemill.workers.script import (
    distribution,
    hyperparameters,
    meeting,
    packages,
    results,
    surroundings,
)
from tidemill.workers.script import source as sources
from tidemill.workers.script.command import Kind, command, kind_of
from tidemill.workers.script.environment import Situation
from tidemill.workers.script.host import Host, is_dealt, say
from tidemill.workers.script.packages import Python
from tidemill.workers.script.program import Outcome, error_of, run
from tidemill.workers.synced import Synced

_KILLED = 137
_LAST_STEPS = 60.0
"""Seconds that another host's worker may take once its program has ended."""


@dataclass(frozen=True, slots=True)
class End:
    """How it ended. artifact: its URI, from the host that leads · code: the exit status"""

    artifact: str | None = None
    stopped: bool = False
    failure: str | None = None
    code: int = 0


@dataclass(frozen=True, slots=True)
class _Ready:
    """argv: to run in ``cwd`` · whole_group: as in ``OptMl.command``"""

    argv: Sequence[str]
    cwd: Path
    variables: Mapping[str, str]
    whole_group: bool = False


class _Failed(Exception):
    """A command of the user's ended badly. what: as SageMaker's toolkit calls it"""

    def __init__(self, what: str, argv: Sequence[str], outcome: Outcome) -> None:
        why = error_of(outcome.tail)
        if outcome.code == _KILLED:
            why = f"It was killed (SIGKILL), as happens when memory runs out. {why}"
        super().__init__(
            f'{what}:\nExitCode {outcome.code}\nErrorMessage "{why}"\nCommand "{" ".join(argv)}"'
        )
        self.code = outcome.code


class _Stopped(Exception):
    """The job was stopped before its program began."""


class Journey:
    """``run`` it once; whatever happens it comes back with an ``End``."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._values = hyperparameters.decoded(host.job.hyperparameters)

    def run(self) -> End:
        """Take all the steps, or say why it could not."""
        host = self._host
        try:
            return self._run()
        except _Stopped:
            if not host.leads:
                meeting.hand_over(host.shared, host.name, host.home.root)
            return End(stopped=True)
        except _Failed as error:
            end = End(failure=f"AlgorithmError: {self._own_words() or error}", code=error.code)
        except TidemillError as error:
            end = End(failure=f"ClientError: {error}", code=1)
        except Exception as error:
            end = End(failure=f"AlgorithmError: {error!r}", code=1)
            traceback.print_exc()
        say(end.failure or "", "ERROR")
        return end

    def _run(self) -> End:
        host = self._host
        self._begin()
        if any(c.input_mode == "File" for c in host.job.channels):
            host.desk.status("Downloading", "Downloading input data")
        files = self._bring_data()
        about = surroundings.situation(host, self._values)
        ready = self._prepare(about)
        if host.wants_to_stop():
            raise _Stopped
        say(f"Invoking script with the following command: {' '.join(ready.argv)}")
        host.desk.status("Training", "Training image download completed. Training in progress.")
        with self._pipes(files), self._kept_in_s3():
            outcome = self._execute(ready)
        stopped = host.wants_to_stop()
        if outcome.code and not stopped:
            raise _Failed("ExecuteUserScriptError", ready.argv, outcome)
        (host.home.output / "success").touch()
        if not host.leads:
            meeting.hand_over(host.shared, host.name, host.home.root)
            return End(stopped=stopped)
        host.desk.status("Uploading", "Uploading generated training model")
        return End(self._upload(), stopped)

    def _begin(self) -> None:
        """What a container begins with; only checkpoints are kept from an earlier attempt."""
        host = self._host
        meeting.take_back(host.shared, host.name)
        home = host.home
        for place in (home.model, host.data_output, host.intermediate, host.code):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        opt_ml.clear(home.root)
        home.data.mkdir(parents=True, exist_ok=True)
        (home.output / "success").unlink(missing_ok=True)
        write_config(host.job, home, host.name, host.names)
        for place_uri in (host.job.output_uri, host.job.checkpoint_uri):
            if place_uri is not None:  # found missing at the end it would cost all the work before
                host.buckets.require(uri.parse(place_uri)[0])
        if not host.opt_ml.is_real:
            say(
                f"/opt/ml lies at {host.opt_ml.base}: this machine allows no namespaces. Programs "
                "must read paths from SM_* variables."
            )

    def _bring_data(self) -> Files:
        host = self._host
        files = download(host.job, host.home, host.buckets, host.name, host.names, is_dealt)
        _own({n: files[n] for n in self._directories()}, copies=not host.opt_ml.is_real)
        return files

    def _directories(self) -> list[str]:
        """The channels that are directories of files, and not pipes."""
        return [c.name for c in self._host.job.channels if c.input_mode != "Pipe"]

    @contextmanager
    def _pipes(self, files: Files) -> Iterator[None]:
        """What feeds the channels that are pipes."""
        host = self._host
        with ExitStack() as stack:
            for channel in host.job.channels:
                if channel.input_mode == "Pipe":
                    # Its rooms load NumPy, which most jobs can do without.
                    pipes = importlib.import_module("tidemill.workers.script.pipes")
                    place = host.names.index(host.name), len(host.names)
                    share = place if is_dealt(channel) else (0, 1)
                    at = files[channel.name], host.buckets, host.home.data
                    stack.callback(pipes.open_pipe(channel, *at, share, say).close)
            yield

    def _prepare(self, about: Situation) -> _Ready:
        """What is to be run, once all that it needs is there."""
        host = self._host
        address = host.names[0] if host.opt_ml.is_real else "127.0.0.1"
        meet = address, meeting.port(host.shared)
        python = packages.make(host.home.root / "python", packages.ours())
        if host.job.entrypoint:
            argv = [*host.job.entrypoint, *host.job.arguments]
            variables = surroundings.variables(host, about, python, *meet)
            return _Ready(argv, host.home.root, variables, whole_group=True)
        if not about.submitted:
            raise Invalid(
                f"the source of the program (hyperparameter {surroundings.SUBMITTED})",
                got="none",
                do="Give the estimator an entry_point, or name a tar.gz in S3.",
            )
        sources.fetch(about.submitted, host.buckets, host.opt_ml, host.code)
        kind = kind_of(host.code, about.program)
        python = self._with_packages(
            kind, python, surroundings.variables(host, about, python, *meet)
        )
        variables = surroundings.variables(host, about, python, *meet)
        spread = distribution.of(self._values, about, *meet)
        arguments = hyperparameters.arguments(about.parameters)
        argv = command(kind, str(python.executable), about.program, arguments, spread)
        return _Ready(argv, host.code, variables, whole_group=kind is Kind.COMMAND)

    def _with_packages(self, kind: Kind, python: Python, variables: Mapping[str, str]) -> Python:
        """The job's environment with all that its source and its framework want."""
        host = self._host

        def install(argv: Sequence[str]) -> None:
            say(f"Installing requirements: {' '.join(argv)}")
            outcome = self._execute(_Ready(argv, host.code, variables))
            if host.wants_to_stop():
                raise _Stopped
            if outcome.code:
                raise _Failed("InstallRequirementsError", argv, outcome)

        python = packages.prepare(host.code, python, host.platform.environments, install)
        if kind is Kind.PACKAGE:
            install([str(python.executable), "-m", "pip", "install", "--no-input", "."])
        found = framework.of_training(host.job.image)
        if found is not None:
            packages.check(found, python, host.code)
        return python

    def _execute(self, ready: _Ready) -> Outcome:
        host = self._host
        argv = host.opt_ml.command(
            ready.argv,
            cwd=ready.cwd,
            shields=[host.home.channel(name) for name in self._directories()],
            hosts=host.names,
            whole_group=ready.whole_group,
        )
        return run(
            argv,
            ready.variables,
            tap=MetricTap(host.job.metric_definitions, host.desk.metric, say),
            wants_to_stop=host.wants_to_stop,
            grace=host.grace,
        )

    @contextmanager
    def _kept_in_s3(self) -> Iterator[None]:
        """Checkpoints and intermediate output, while the program runs."""
        host, job = self._host, self._host.job
        with ExitStack() as stack:
            if job.checkpoint_uri is not None:
                place = host.opt_ml.meant(job.checkpoint_path)
                if place is None or place == host.home.root:
                    raise Invalid(
                        "CheckpointConfig.LocalPath must be a directory below /opt/ml",
                        got=job.checkpoint_path,
                        do="Leave it out: checkpoints are then at /opt/ml/checkpoints.",
                    )
                checkpoints = Synced(host.buckets, job.checkpoint_uri, place, say)
                if restored := checkpoints.restore():
                    say(f"Restored {restored} files of checkpoints from {job.checkpoint_uri}")
                checkpoints.start()
                stack.callback(checkpoints.close)
            target = self._values.get("sagemaker_s3_output")
            if isinstance(target, str) and target.startswith("s3://"):
                prefix = uri.join(target, job.name, "output/intermediate")
                intermediate = Synced(host.buckets, prefix, host.intermediate, say)
                intermediate.start()
                stack.callback(intermediate.close)
            yield

    def _upload(self) -> str:
        host, job = self._host, self._host.job
        others = meeting.collect(
            host.shared, host.names[1:], host.wants_to_stop, host.grace + _LAST_STEPS
        )
        homes = [host.home.root, *others]
        output = uri.join(job.output_uri, job.name, "output")

        def skipped(name: str) -> None:
            say(f"Left out of the output: {name}, which is no file", "WARNING")

        data = [home / "output" / "data" for home in homes]
        if not results.is_empty(data):
            name = "output" if job.compress else "data"
            target = f"{output}/{name}"
            results.upload(host.buckets, data, target, compress=job.compress, skipped=skipped)
        models = [home / "model" for home in homes]
        return results.upload(
            host.buckets, models, f"{output}/model", compress=job.compress, skipped=skipped
        )

    def _own_words(self) -> str:
        """What the program itself wrote to /opt/ml/output/failure."""
        path = self._host.home.failure
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return file.read(4096).decode(errors="replace").strip()[:1024]


def _own(files: Files, *, copies: bool) -> None:
    """Make sure that no program can change an object through a file of its channel.

    copies: nothing else keeps it from writing through hard links
    """
    for path in (path for paths in files.values() for path in paths):
        if path.is_symlink() or (copies and os.stat(path).st_nlink > 1):
            draft = path.with_name(f".{path.name}.draft")
            shutil.copyfile(path, draft)
            draft.replace(path)
