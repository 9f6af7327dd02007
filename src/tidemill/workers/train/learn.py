"""From channels to a model: the training loop with all that surrounds it on a host."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from tidemill.algorithms.base import Algorithm
from tidemill.errors import TidemillError
from tidemill.storage import uri
from tidemill.training import loop
from tidemill.training.evaluate import evaluate, require_finite
from tidemill.training.loop import Position
from tidemill.workers.checkpoint import Checkpoints
from tidemill.workers.log_lines import Log
from tidemill.workers.mirror import Mirror
from tidemill.workers.peers import Peers
from tidemill.workers.train.channels import Channels
from tidemill.workers.train.host import Host
from tidemill.workers.train.watch import Watch

TRAIN, HELD_OUT, TEST = "train", "validation", "test"


@dataclass(frozen=True, slots=True)
class Learned:
    """model: None when it was stopped too early for one · state: that it was made of
    stopped: some host was told to stop"""

    model: Any | None
    state: Any
    stopped: bool = False


def learn(
    host: Host,
    name: str,
    algorithm: Algorithm[Any],
    passes: int,
    channels: Channels,
    log: Log,
    start: Any | None = None,
) -> Learned:
    """Train, from the newest checkpoint if there is one.

    name: the algorithm's, for the log · passes: at most, as far as known
    start: the state to begin with, if not an empty one
    """
    checkpoints = _checkpoints(host, channels)
    peers = Peers(algorithm, host.meeting, host.name, host.names, wants_to_stop=host.wants_to_stop)
    resume = checkpoints.newest(type(algorithm.start()))
    done = 0.0
    if resume is None and start is not None:
        resume = Position(start)
    elif resume:
        done = algorithm.progress(resume.state) if resume.pass_ else 0.0
        log.info(f"Resuming from a checkpoint in pass {resume.pass_}, at {resume.cursor}")
    share_read = channels.share_read
    watch = Watch(host, name, algorithm, passes, share_read, log, checkpoints, peers, done)
    state = loop.fit(
        algorithm,
        channels.rows(TRAIN),
        held_out=channels.rows(HELD_OUT) if HELD_OUT in channels else None,
        resume=resume,
        merge=peers.merge,
        watcher=watch,
    )
    watch.final(state)
    return Learned(_finalized(name, algorithm, state, log, peers.over), state, peers.over)


def remade(name: str, algorithm: Algorithm[Any], state: Any, log: Log) -> Learned:
    """The model that an algorithm makes of an earlier training's state, without any rows."""
    return Learned(_finalized(name, algorithm, state, log, False), state)


def _checkpoints(host: Host, channels: Channels) -> Checkpoints[Any]:
    directory, run = host.home.checkpoints, host.run(channels.sizes)
    pause = host.checkpoint_seconds
    if host.job.checkpoint_uri is None:
        return Checkpoints(directory, run, least_pause=pause)
    prefix = uri.join(host.job.checkpoint_uri, "" if host.is_alone else host.name)
    mirror = Mirror(host.buckets, prefix, directory)
    # What several hosts left in S3 may be of different passes, which would not meet again.
    if host.is_alone:
        mirror.restore()
    return Checkpoints(directory, run, least_pause=pause, saved=mirror.send)


def test(algorithm: Algorithm[Any], model: Any, channels: Channels, log: Log) -> None:
    """Log how good the model is on the rows that it did not learn from."""
    for channel in (HELD_OUT, TEST):
        if channel in channels:
            measures = evaluate(algorithm, model, channels.rows(channel))
            channels.reading = channel  # it is of its rows that they tell
            for measure in measures:
                require_finite(measure)
                log.quality(channel, measure)
            channels.reading = None


def _finalized(
    name: str, algorithm: Algorithm[Any], state: Any, log: Log, stopped: bool
) -> Any | None:
    begun = time.time()
    try:
        model = algorithm.finalize(state)
    except TidemillError as error:
        if not stopped:
            raise
        log.warning(f"Stopped before there was a model: {error}")
        return None
    log.metrics(name, "training", begun, {"finalize.time": 1000 * (time.time() - begun)})
    for remark in algorithm.remarks(model):
        log.info(remark)
    return model
