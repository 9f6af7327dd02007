"""The control plane's process: the gateway on a Unix socket, and the reconciler beside it.

``python -m tidemill.app.control_plane HOME [--account-id A]``. Here the store and the engine are
chosen. SIGTERM ends it; jobs and replicas go on, and the next one finds them.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from tidemill.app.warm_forks import warm_forks
from tidemill.auth.credentials import load_or_create
from tidemill.control.alarm import Alarms
from tidemill.control.autoscaling import Autoscaling
from tidemill.control.health import Health
from tidemill.control.inference_experiment import Experiments
from tidemill.control.job_component import JobComponents
from tidemill.control.lessons import Lessons
from tidemill.control.metering import Metering, Usage
from tidemill.control.offline_store import SECONDS, OfflineStore, OfflineWriting
from tidemill.control.provisioned import ProvisionedUse
from tidemill.control.reconcile.duty import Duty
from tidemill.control.reconcile.loop import Reconciler
from tidemill.control.schedules import Schedules
from tidemill.control.shelves import Shelves
from tidemill.control.verbs import Verbs
from tidemill.control.wakeup import Wakeup, ring
from tidemill.control.workers import Workers
from tidemill.engine.local import LocalEngine
from tidemill.engine.nursery import Nursery
from tidemill.errors import Invalid, NotReady, TidemillError
from tidemill.gateway.app import build
from tidemill.spec.home import Home
from tidemill.storage.bucket import Buckets
from tidemill.store.features import FeatureRecords
from tidemill.store.metrics import MetricStore
from tidemill.store.run_metrics import RunMetrics
from tidemill.store.sql import SqlStore
from tidemill.traffic.serverless import IDLE_SECONDS, LEAST_IDLE, Policy

ACCOUNT_VARIABLE, ACCOUNT = "TIDEMILL_ACCOUNT_ID", "123456789012"
IDLE_VARIABLE = "TIDEMILL_SERVERLESS_IDLE_SECONDS"
OFFLINE_VARIABLE = "TIDEMILL_OFFLINE_STORE_SECONDS"
LONGEST_DELAY = 900.0
"""Seconds until records are in the offline store, as SageMaker promises."""
WARM = ("train", "transform", "serve")
"""Kinds of workers that need what a warm process holds."""
COMMANDS = {
    kind: (sys.executable, "-P", "-m", f"tidemill.workers.{kind}")
    for kind in (*WARM, "process", "script")
}


def run(home: Home, account: str) -> None:
    """Be the control plane until SIGTERM; raises when it cannot start."""
    for path in (home.root, home.run, home.sockets):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = SqlStore(f"sqlite:///{home.database.resolve()}")
    metrics, runs = MetricStore(home.metrics), RunMetrics(home.run_metrics)
    features = FeatureRecords(home.features)
    bell = home.socket("control")
    verbs = Verbs(store, account=account, clock=time.time, wake=lambda: ring(bell))
    credentials = load_or_create(home.credentials, os.environ)
    app = build(
        home=home,
        verbs=verbs,
        metrics=metrics,
        runs=runs,
        features=features,
        credentials=credentials,
        account=account,
    )
    offline = OfflineStore(verbs, features, Buckets(home.buckets, sync=True))
    writing = OfflineWriting(verbs, features, offline, delay=offline_delay(os.environ))
    duties = (
        Metering(home, metrics),
        Usage(verbs, metrics),
        ProvisionedUse(verbs, home, metrics),
        Shelves(verbs, metrics),
        Lessons(verbs, metrics),
        Alarms(verbs, metrics),
        Schedules(verbs),
        Experiments(verbs),
        JobComponents(verbs, runs),
        Autoscaling(verbs, metrics),
        writing,
    )
    modules = [COMMANDS[kind][-1] for kind in WARM]
    with (
        warm_forks(modules, os.environ) as nursery,
        _reconciling(verbs, home, duties, nursery),
        _listening(home.socket("gateway")) as listener,
    ):
        # uvicorn raises the signal again when it has wound up, which must not kill us then.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            lifespan="on",
            log_level="error",  # what is no HTTP is the client's affair, and would fill the log
            access_log=False,
            proxy_headers=False,  # the router is the one in front, and adds none
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        server = uvicorn.Server(config)
        server.run(sockets=[listener])
    writing.close()
    features.close()
    store.close()
    metrics.close()
    runs.close()
    if not server.started:
        raise NotReady("the gateway to start", got="an error", do="Read the lines above this one.")


@contextmanager
def _reconciling(
    verbs: Verbs, home: Home, duties: Sequence[Duty], nursery: Nursery | None
) -> Iterator[None]:
    """The loop, in a thread, for as long as the block runs."""
    wakeup = Wakeup(home.socket("control"))
    workers = Workers(LocalEngine(on_exit=verbs.wake, nursery=nursery), COMMANDS)
    health = Health(verbs.wake)
    loop = Reconciler(
        verbs,
        home,
        workers,
        health,
        most_workers=most_workers(),
        duties=duties,
        serverless=serverless_policy(os.environ),
    )
    over = threading.Event()
    thread = threading.Thread(target=loop.run, args=(over, wakeup.wait), name="reconcile")
    health.start()
    thread.start()
    try:
        yield
    finally:
        over.set()
        verbs.wake()
        thread.join()
        wakeup.close()


def most_workers() -> int:
    """How many workers of training jobs may run at once on this machine.

    More than there are cores, so that a short job need not wait for long ones to end; few enough
    that a hundred jobs submitted together do not exhaust the memory.
    """
    return max(4, 2 * len(os.sched_getaffinity(0)))


def serverless_policy(environment: Mapping[str, str]) -> Policy:
    """When replicas of serverless endpoints come and go on this machine; raises Invalid.

    >>> serverless_policy({IDLE_VARIABLE: "5"}).idle
    5.0
    """
    told = environment.get(IDLE_VARIABLE, "")
    try:
        idle = float(told or IDLE_SECONDS)
    except ValueError:
        idle = 0.0
    if not LEAST_IDLE <= idle < float("inf"):
        raise Invalid(
            f"{IDLE_VARIABLE} must be a number of seconds, {LEAST_IDLE:g} at the least",
            got=told,
            do="Set it to one, or leave it out.",
        )
    return Policy(idle, len(os.sched_getaffinity(0)))


def offline_delay(environment: Mapping[str, str]) -> float:
    """Seconds that a record waits for the offline store, at the most; raises Invalid.

    >>> offline_delay({OFFLINE_VARIABLE: "5"})
    5.0
    """
    told = environment.get(OFFLINE_VARIABLE, "")
    try:
        delay = float(told or SECONDS)
    except ValueError:
        delay = -1.0
    if not 0 <= delay <= LONGEST_DELAY:
        raise Invalid(
            f"{OFFLINE_VARIABLE} must be a number of seconds, from 0 to {LONGEST_DELAY:g}",
            got=told,
            do="Set it to one, or leave it out.",
        )
    return delay


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        yield listener


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 after SIGTERM, 1 with one line of error when it cannot start."""
    parser = argparse.ArgumentParser(prog="tidemill.app.control_plane")
    parser.add_argument("home", type=Path)
    parser.add_argument("--account-id", default=os.environ.get(ACCOUNT_VARIABLE, ACCOUNT))
    options = parser.parse_args(arguments)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # every worker watched is a file
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        run(Home(options.home.resolve()), options.account_id)
    except (TidemillError, OSError) as error:
        print(f"control plane: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
