"""One host's journey through a training job: objects in, a model out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from tidemill import registry
from tidemill.algorithms.base import Algorithm, Declaration
from tidemill.artifact import archive
from tidemill.artifact.codec import to_bytes
from tidemill.errors import Invalid
from tidemill.spec.training_job import MetricDefinition
from tidemill.storage import uri
from tidemill.workers.failure import explain
from tidemill.workers.inputs.config import write_config
from tidemill.workers.inputs.download import download
from tidemill.workers.log_lines import Log
from tidemill.workers.metric_tap import MetricTap
from tidemill.workers.peers import give_up
from tidemill.workers.pipe.rows import Plumbing
from tidemill.workers.train.channels import REQUIRED, Channels, check
from tidemill.workers.train.earlier import CHANNEL, earlier_state
from tidemill.workers.train.host import Host
from tidemill.workers.train.learn import Learned, learn, remade, test
from tidemill.workers.train.side_by_side import build


@dataclass(frozen=True, slots=True)
class End:
    """How it ended. artifact: its URI, from the host that leads · failure: why it failed"""

    artifact: str | None = None
    stopped: bool = False
    failure: str | None = None


class Journey:
    """``run`` it once; whatever happens it comes back with an ``End``."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._begun = time.time()
        self._log = Log(host.name)
        self._channels: Channels | None = None

    def run(self) -> End:
        """Take all the steps, or say why it could not."""
        try:
            return self._run()
        except Exception as error:
            failure = explain(error, self._channels.reading if self._channels else None)
            self._log.error(failure)
            if not self._host.is_alone:
                give_up(self._host.meeting, self._host.name, failure)
            return End(failure=failure)

    def _run(self) -> End:
        host, job, desk = self._host, self._host.job, self._host.desk
        declaration = registry.declaration(job.image)
        self._listen(declaration)
        check(declaration, job.channels)
        _check_hosts(declaration, len(host.names))
        hyperparameters = registry.check(declaration.name, job.hyperparameters)
        self._log.configuration(
            _defaults(declaration), job.hyperparameters, asdict(hyperparameters)
        )
        write_config(job, host.home, host.name, host.names)
        self._check_places()
        if any(c.input_mode == "File" for c in job.channels):
            desk.status("Downloading", "Downloading input data")
        files = download(job, host.home, host.buckets, host.name, host.names)
        desk.status("Training", "Training image download completed. Training in progress.")
        scratch = host.home.root / "scratch"
        algorithm = build(declaration, hyperparameters, len(host.names), scratch)
        index, hosts = host.names.index(host.name), len(host.names)
        plumbing = Plumbing(host.home.data, host.buckets, index, hosts)
        channels = Channels(declaration, job.channels, files, algorithm.batch_rows, plumbing)
        self._channels = channels
        passes = getattr(hyperparameters, "epochs", 1)
        learned = self._learned(declaration, algorithm, passes, channels)
        if learned.model is None or not host.leads:
            return End(stopped=learned.stopped)
        if not learned.stopped:
            test(algorithm, learned.model, channels, self._log)
        desk.status("Uploading", "Uploading generated training model")
        artifact = self._upload(declaration, learned, asdict(hyperparameters))
        return End(artifact, learned.stopped)

    def _learned(
        self, declaration: Declaration, algorithm: Algorithm[Any], passes: int, channels: Channels
    ) -> Learned:
        """What comes of the rows, of an earlier training's state, or of both."""
        host, name = self._host, declaration.name
        start = None
        if CHANNEL in channels:
            files, scratch = channels.files(CHANNEL), host.home.root / "earlier"
            before = earlier_state(declaration, algorithm, files, scratch)
            start = algorithm.reopen(before, leads=host.leads)
            self._log.info(f"Going on from the model in channel {CHANNEL!r}")
            if REQUIRED not in channels:
                return remade(name, algorithm, start, self._log)
        return learn(host, name, algorithm, passes, channels, self._log, start)

    def _listen(self, declaration: Declaration) -> None:
        """Make metrics of the log lines; the hosts say the same, so one of them is enough."""
        if self._host.leads:
            declared = [MetricDefinition(m.name, m.regex) for m in declaration.metrics]
            definitions = [*declared, *self._host.job.metric_definitions]
            self._log = Log(self._host.name, MetricTap(definitions, self._host.desk.metric))

    def _check_places(self) -> None:
        """A bucket found missing at the end would cost all the training before."""
        for place in (self._host.job.output_uri, self._host.job.checkpoint_uri):
            if place is not None:
                self._host.buckets.require(uri.parse(place)[0])

    def _upload(
        self, declaration: Declaration, learned: Learned, hyperparameters: Mapping[str, Any]
    ) -> str:
        job, buckets, name = self._host.job, self._host.buckets, declaration.name
        begun = time.time()
        exported = declaration.exports(learned.model) if declaration.exports else {}
        files = {
            archive.MODEL: to_bytes(learned.model),
            archive.STATE: to_bytes(learned.state),
            **exported,
        }
        output = uri.join(job.output_uri, job.name, "output")
        if job.compress:
            artifact = f"{output}/model.tar.gz"
            buckets.put_bytes(*uri.parse(artifact), archive.pack(name, hyperparameters, files))
        else:
            artifact = f"{output}/model/"
            for file, data in archive.with_manifest(name, hyperparameters, files).items():
                buckets.put_bytes(*uri.parse(artifact + file), data)
        now = time.time()
        times = {"model.serialize.time": now - begun, "totaltime": now - self._begun}
        values = {name: 1000 * seconds for name, seconds in times.items()}
        self._log.metrics(name, "training", self._begun, values)
        return artifact


def _check_hosts(declaration: Declaration, hosts: int) -> None:
    if declaration.most_hosts is not None and hosts > declaration.most_hosts:
        raise Invalid(
            f"{declaration.name}: at most {declaration.most_hosts} instances can share a job",
            got=hosts,
            do="Lower InstanceCount.",
        )


def _defaults(declaration: Declaration) -> dict[str, Any]:
    declared = fields(declaration.hyperparameters)
    return {f.name: f.default for f in declared if f.default is not MISSING}
