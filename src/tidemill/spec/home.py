"""Where things lie: the platform's home, and the home of one worker (laid out like /opt/ml)."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# sun_path holds 108 bytes with its closing zero; deeper homes get a short stand-in directory.
LONGEST_SOCKET_PATH = 107
LONGEST_SOCKET_NAME = len("replica-12345678-r12345678.sock")


def home_directory(given: str | Path | None, environment: Mapping[str, str]) -> Path:
    """The given home, else ``$TIDEMILL_HOME``, else ``~/.tidemill``; links followed, so that one
    home has one name, by which its processes are found.

    >>> home_directory(None, {"TIDEMILL_HOME": "/srv/mill"})
    PosixPath('/srv/mill')
    """
    return Path(given or environment.get("TIDEMILL_HOME") or "~/.tidemill").expanduser().resolve()


@dataclass(frozen=True, slots=True)
class Home:
    """The platform's directory (``$TIDEMILL_HOME``, default ``~/.tidemill``)."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "tidemill.db"

    @property
    def features(self) -> Path:
        """Records of feature groups (``store.features``): a database of its own."""
        return self.root / "features.db"

    @property
    def metrics(self) -> Path:
        """What was measured over time (``store.metrics``): a database of its own."""
        return self.root / "metrics.db"

    @property
    def run_metrics(self) -> Path:
        """What runs have told of their metrics (``store.run_metrics``): a database of its own."""
        return self.root / "runs.db"

    @property
    def buckets(self) -> Path:
        """S3: one directory a bucket."""
        return self.root / "s3"

    @property
    def jobs(self) -> Path:
        """One worker home a job attempt-group: ``jobs/<region>/<name>-<id>/<host>``."""
        return self.root / "jobs"

    @property
    def endpoints(self) -> Path:
        """One worker home a replica: ``endpoints/<region>/<name>-<id>/<replica>``."""
        return self.root / "endpoints"

    @property
    def asynchronous(self) -> Path:
        """Requests to asynchronous endpoints that have no answer yet: one file each."""
        return self.root / "async"

    @property
    def environments(self) -> Path:
        """Python environments of users' programs: one a list of requirements."""
        return self.root / "environments"

    @property
    def topics(self) -> Path:
        """JSON, written by people: names of SNS topics → webhooks on this machine."""
        return self.root / "topics.json"

    @property
    def logs(self) -> Path:
        """What the platform's own processes print."""
        return self.root / "logs"

    @property
    def credentials(self) -> Path:
        return self.root / "credentials"

    @property
    def run(self) -> Path:
        """What holds only while the platform runs: sockets, pids, routes."""
        return self.root / "run"

    @property
    def server(self) -> Path:
        """JSON: url, host, port, account, region, and the pid and start time of each part."""
        return self.run / "server.json"

    @property
    def routes(self) -> Path:
        """The routing table (``spec.route``), written by control, read by the router."""
        return self.run / "routes.json"

    @property
    def access(self) -> Path:
        """Keys, users and roles (``auth.access``), written by the gateway, read by the router."""
        return self.run / "access.json"

    @property
    def meters(self) -> Path:
        """What the router has counted (``spec.meters``), written by it, read by control."""
        return self.run / "meters.json"

    @property
    def demand(self) -> Path:
        """How much serverless endpoints are used (``spec.serverless``); written as meters are."""
        return self.run / "demand.json"

    def socket(self, name: str) -> Path:
        """Path of a Unix socket of this home, short enough for the kernel.

        >>> Home(Path("/h")).socket("gateway")
        PosixPath('/h/run/gateway.sock')
        """
        return self.sockets / f"{name}.sock"

    @property
    def sockets(self) -> Path:
        """Where all of them lie: the longest name decides for the others too."""
        if len(os.fsencode(self.run)) + 1 + LONGEST_SOCKET_NAME <= LONGEST_SOCKET_PATH:
            return self.run
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"tidemill-{digest}"


@dataclass(frozen=True, slots=True)
class WorkerHome:
    """The directory of one worker process; a user's script sees it as /opt/ml."""

    root: Path

    @property
    def task(self) -> Path:
        """JSON written by control before the start: everything this worker is to do."""
        return self.root / "task.json"

    @property
    def config(self) -> Path:
        """hyperparameters.json, inputdataconfig.json, resourceconfig.json."""
        return self.root / "input" / "config"

    @property
    def data(self) -> Path:
        """One directory a channel."""
        return self.root / "input" / "data"

    def channel(self, name: str) -> Path:
        return self.data / name

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def shelf(self) -> Path:
        """What a replica of many models has counted (``spec.shelf_counts``), read by control."""
        return self.root / "shelf.json"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def processing(self) -> Path:
        """Inputs and outputs of a processing job."""
        return self.root / "processing"

    @property
    def failure(self) -> Path:
        """Text whose first 1,024 characters become the FailureReason."""
        return self.output / "failure"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def events(self) -> Path:
        """JSON Lines (``spec.event``), appended by the worker, read by control."""
        return self.root / "events.jsonl"

    @property
    def log(self) -> Path:
        """Standard output and error of the process, appended over all its attempts."""
        return self.root / "worker.log"

    @property
    def exit(self) -> Path:
        """JSON {"code": int}, written by the worker as its last act; absent after a kill."""
        return self.root / "exit.json"
