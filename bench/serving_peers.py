"""The same logistic model behind the servers one would use instead, and behind Tidemill, in turn.

A round starts each server on the machine alone, measures every case and ends it; figures are
medians over the rounds. Every peer runs in the setup that answered most in a short trial, in its
virtual environment under bench/cache/peers, made when it is first wanted. Floor: a bare uvloop echo
server, which also tells what the two load generators can see (wrk, and bench.pace for fixed rates).
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from bench.measure import write
from bench.peers import contest, report
from bench.peers.contest import ONE, Asked, Case, Contestant
from bench.peers.systems import Echo, PeerServer, Tidemill
from bench.peers.table import PEERS
from bench.serving import COLUMNS, trained
from tidemill.algorithms.linear_learner.model import LinearModel
from tidemill.app import server
from tidemill.artifact import archive, codec
from tidemill.sdk.endpoint import deploy
from tidemill.spec.home import Home
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets

MEGABYTE = "1 MB"
ROWS = {ONE: 1, "100 rows": 100, MEGABYTE: 4600}
# 256 megabytes under way would measure patience: the slowest peer answers fifteen a second.
CONNECTIONS = {ONE: (1, 32, 256), "100 rows": (1, 32, 256), MEGABYTE: (1, 8)}
CASES: list[Case] = [(size, count) for size in ROWS for count in CONNECTIONS[size]]
TRIAL, TRIAL_SECONDS = (ONE, 32), 2
PACED_SHARE = 0.7


def main() -> int:
    """Measure and write the table."""
    given = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        platform, model = _deployed(Home(root / "home"))
        ours, floor = Contestant(platform), Contestant(Echo(root / "echo"))
        document = {"weights": model.weights.tolist(), "bias": float(model.bias)}
        peers = [
            Contestant(PeerServer(peer, root / peer.package, document))
            for peer in PEERS
            if peer.package in given.peers.split(",")
        ]
        everyone = [floor, ours, *peers]
        asked = _asked(model)
        for each in everyone:
            _say(f"prepare {each.system.name}")
            _attempt(each, each.system.prepare)
        for each in everyone:
            _attempt(each, partial(_choose, each, asked))
        for turn in range(given.repeats):
            # Ours before the floor, which is then asked at the rate that ours was.
            for each in (ours, floor, *peers):
                like = ours if each is floor else each
                _attempt(each, partial(_round, each, like, asked, given.seconds))
                _say(f"round {turn + 1} of {given.repeats}: {each.system.name}")
    write(report.TASK, report.table(everyone, CASES, PACED_SHARE))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.serving_peers")
    names = ",".join(peer.package for peer in PEERS)
    parser.add_argument("--peers", default=names, help=f"some of {names}")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--seconds", type=int, default=1, help="of a run; of long ones, twice")
    return parser.parse_args()


def _deployed(home: Home) -> tuple[Tidemill, LinearModel]:
    """The platform, down again, with an endpoint; and the endpoint's model."""
    _say("train and deploy the model")
    server.start_detached(home, "127.0.0.1", 0, "123456789012")
    try:
        job = trained(home)
        endpoint = deploy(job, wait=False).wait(quiet=True)
        artifact = Buckets(home.buckets).path(*uri.parse(job.artifact))
    finally:
        server.stop(home)
    archive.extract(artifact, home.root / "model")
    model = codec.from_bytes(LinearModel, archive.read(home.root / "model", "model.safetensors"))
    return Tidemill(home, endpoint.name), model


def _asked(model: LinearModel) -> Asked:
    random = np.random.default_rng(1)
    arrays = {n: random.normal(size=(c, COLUMNS)).round(4) for n, c in ROWS.items()}
    raw = {name: rows @ model.weights + model.bias for name, rows in arrays.items()}
    wanted = {name: 1 / (1 + np.exp(-scores)) for name, scores in raw.items()}
    return Asked({name: rows.tolist() for name, rows in arrays.items()}, wanted)


def _attempt(contestant: Contestant, work: Callable[[], None]) -> None:
    """A system that fails once is out; the others go on."""
    if contestant.failure:
        return
    try:
        work()
    except (OSError, RuntimeError, ValueError, LookupError) as error:
        contestant.failure = f"{type(error).__name__}: {error}"
        _say(f"{contestant.system.name} is out: {contestant.failure}")


def _choose(contestant: Contestant, asked: Asked) -> None:
    """Try every setup, with every answer checked, and keep the one that answers most."""
    system, trials = contestant.system, contestant.trials
    for setup in system.setups:
        with contest.running(contestant, setup, asked) as url:
            for size in ROWS:
                contest.check(system, url, size, asked)
            trials[setup] = contest.loaded(system, url, asked, TRIAL, TRIAL_SECONDS)["requests/s"]
        _say(f"{system.name}, {setup}: all answers right, {trials[setup]:.0f}/s")
    contestant.setup = max(trials, key=trials.__getitem__)
    contestant.starts.clear()


def _round(contestant: Contestant, like: Contestant, asked: Asked, seconds: int) -> None:
    """Every case once. like: whose most the fixed rate is a share of"""
    system = contestant.system
    with contest.running(contestant, contestant.setup, asked) as url:
        for case in CASES:
            # Runs must be longer than the slowest waits, or those are never seen.
            is_long = case[0] == MEGABYTE or case[1] == max(CONNECTIONS[ONE])
            found = contest.loaded(system, url, asked, case, seconds * (1 + is_long))
            contestant.cases.setdefault(case, []).append(found)
        contestant.memory.append(contest.memory(system.processes()))
        most = max(like.cases[ONE, count][-1]["requests/s"] for count in CONNECTIONS[ONE])
        rate = PACED_SHARE * most
        contestant.paced.append(contest.paced(system, url, asked, rate, seconds * 2))
        if isinstance(system, Tidemill):
            contestant.overhead.append(contest.overhead(system, url, asked))


def _say(what: str) -> None:
    print(time.strftime("%H:%M:%S"), what, flush=True)


if __name__ == "__main__":
    sys.exit(main())
