"""What a job of workers (training, transform, processing) needs next: a decision, not an action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tidemill.control.plan.step import Seen, Start, Step, Stop, why
from tidemill.spec.event import Event
from tidemill.spec.training_job import JobStatus

STOP_GRACE = 120.0
"""Seconds between SIGTERM and SIGKILL, as ``docker stop -t 120`` in AWS's containers."""
MOST_DEATHS = 10
DYING_SECONDS = 30.0
"""So many deaths in a row without new progress, over so long, fail a job: what is killed from
outside a few times within seconds gets another chance, what dies of itself does not for ever."""

STAGES = ("Starting", "Downloading", "Training", "Uploading")
MESSAGES = {
    "Starting": "Launching requested ML instances",
    "Pending": "Waiting for other jobs to end: no more workers can run at once here",
    "Restarting": "The worker died; starting it again from its last checkpoint",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds",
}
PREPARING = "Preparing the instances for training"


@dataclass(frozen=True, slots=True)
class JobState:
    """What has happened to a job so far; ``Row.document["state"]``.

    transitions: of SecondaryStatusTransitions, times in epoch seconds · home: its directory
    handles: host → its live process · read: host → bytes of its events taken in
    exits: host → code, of those that ended for good · attempts: host → starts so far
    deaths: in a row without new progress, dying: time of the first, died: of the last
    stop: how a stop in progress will end (Stopped or MaxRuntimeExceeded)
    metrics: the last value of each · messages: host → what its program left to be known
    """

    home: str
    secondary: str = "Starting"
    transitions: tuple[Mapping[str, Any], ...] = ()
    handles: Mapping[str, str] = field(default_factory=dict)
    read: Mapping[str, int] = field(default_factory=dict)
    exits: Mapping[str, int] = field(default_factory=dict)
    attempts: Mapping[str, int] = field(default_factory=dict)
    metrics: tuple[Mapping[str, Any], ...] = ()
    artifact: str | None = None
    failure: str | None = None
    started: float | None = None
    ended: float | None = None
    deaths: int = 0
    dying: float | None = None
    died: float | None = None
    progress: float | None = None
    progress_message: str | None = None
    stop: str | None = None
    messages: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_begun(self) -> bool:
        """Whether any of its workers was ever started."""
        return bool(self.attempts or self.exits)

    def to_document(self) -> dict[str, Any]:
        """JSON, without what has not happened yet."""
        return {k: v for k, v in asdict(self).items() if v is not None}


def from_document(document: Mapping[str, Any]) -> JobState:
    """Read what ``to_document`` wrote."""
    tuples = {k: tuple(document.get(k, ())) for k in ("transitions", "metrics")}
    return JobState(**{**document, **tuples})


def begin(home: str, now: float) -> JobState:
    """The state of a job just asked for."""
    return enter(JobState(home=home), "Starting", MESSAGES["Starting"], now)


def enter(state: JobState, secondary: str, message: str, now: float) -> JobState:
    """Close the running transition and open the next; what is final is closed at once."""
    # Clocks are set back now and then; a stage never ends before it began.
    now = max([now, *(t["StartTime"] for t in state.transitions[-1:])])
    closed = tuple(t if "EndTime" in t else {**t, "EndTime": now} for t in state.transitions)
    opened: dict[str, Any] = {"Status": secondary, "StartTime": now, "StatusMessage": message}
    if secondary in ("Completed", "Failed", "Stopped", "MaxRuntimeExceeded"):
        opened["EndTime"] = now
    return replace(state, secondary=secondary, transitions=(*closed, opened))


def observe(state: JobState, events: Sequence[Event]) -> JobState:
    """Take in what a host's worker has told, in order."""
    for event in events:
        state = _OBSERVERS.get(event.kind, _ignore)(state, event)
    return state


def stop(state: JobState, how: str, now: float) -> JobState:
    """The state of a job that is to end early. how: Stopped or MaxRuntimeExceeded."""
    return enter(replace(state, stop=how), "Stopping", MESSAGES["Stopping"], now)


def plan(
    status: JobStatus,
    state: JobState,
    *,
    hosts: Sequence[str],
    max_seconds: float,
    seen: Mapping[str, Seen],
    problem: str | None,
    now: float,
    has_room: bool = True,
    grace: float = STOP_GRACE,
) -> Step[JobState]:
    """Where the job stands next, and what must be done to its workers first.

    seen: of hosts that have ended since · problem: why it can never run, or None
    has_room: whether a job that has not begun may do so
    grace: seconds from SIGTERM to SIGKILL for its workers
    """
    if status.is_final:
        return Step(status.value, state)
    if problem is not None:
        return _end(state, JobStatus.FAILED, "Failed", now, failure=problem)
    state, broken = _bury(state, seen, now)
    if broken is not None:
        return _end(state, JobStatus.FAILED, "Failed", now, failure=broken)
    over = state.started is not None and now - state.started > max_seconds
    if over and state.stop is None:
        state = stop(state, "MaxRuntimeExceeded", now)
    if state.stop is not None:
        return _wind_down(state, now, grace)
    if all(host in state.exits for host in hosts):
        if state.failure is not None:  # as a worker told, so that the others could go on
            return _end(state, JobStatus.FAILED, "Failed", now, failure=state.failure)
        return _end(state, JobStatus.COMPLETED, "Completed", now)
    if not has_room and not state.has_begun:
        return Step(JobStatus.IN_PROGRESS.value, _wait(state, now))
    idle = [h for h in hosts if h not in state.exits and h not in state.handles]
    ready = state.died is None or now >= state.died + _pause(state.deaths)
    starts = tuple(Start(h) for h in idle) if ready else ()
    return Step(JobStatus.IN_PROGRESS.value, state, starts)


def launched(state: JobState, host: str, handle: str, now: float) -> JobState:
    """The state once a host's worker runs."""
    attempts = {**state.attempts, host: state.attempts.get(host, 0) + 1}
    state = replace(state, handles={**state.handles, host: handle}, attempts=attempts)
    if state.started is not None:
        return state
    if state.secondary == "Pending":
        return replace(enter(state, "Starting", PREPARING, now), started=now)
    prepared = ({**state.transitions[-1], "StatusMessage": PREPARING},)
    return replace(state, started=now, transitions=state.transitions[:-1] + prepared)


def _wait(state: JobState, now: float) -> JobState:
    if state.secondary == "Pending":
        return state
    return enter(state, "Pending", MESSAGES["Pending"], now)


def _pause(deaths: int) -> float:
    """Seconds to wait before the next attempt: none after the first deaths, 2 at most.

    >>> [_pause(n) for n in (1, 3, 4, 10)]
    [0.0, 0.0, 0.2, 2.0]
    """
    return 0.0 if deaths < 4 else min(2.0, 0.2 * 2.0 ** (deaths - 4))


def _bury(state: JobState, seen: Mapping[str, Seen], now: float) -> tuple[JobState, str | None]:
    """Take ended workers off the list: (state, why the job has failed or None)."""
    broken = None
    for host, found in seen.items():
        if found.code is None:
            continue
        handles = {h: v for h, v in state.handles.items() if h != host}
        state = replace(state, handles=handles)
        if found.code == 0 and not (found.stopped and state.stop is None):
            state = replace(state, exits={**state.exits, host: 0})
        elif state.stop is not None:
            state = replace(state, exits={**state.exits, host: found.code})
        elif found.code > 0:
            broken = broken or why(found)
        elif found.code < 0:
            state, fatal = _died(state, found, now)
            broken = broken or fatal
        # What is left was stopped from outside (tidemill down): it starts again, no harm done.
    return state, broken


def _died(state: JobState, found: Seen, now: float) -> tuple[JobState, str | None]:
    dying = now if state.dying is None else state.dying
    state = replace(state, deaths=state.deaths + 1, dying=dying, died=now)
    if state.deaths >= MOST_DEATHS and now - dying >= DYING_SECONDS:
        return state, f"AlgorithmError: died {state.deaths} times without progress. {why(found)}"
    message = f"{MESSAGES['Restarting']} (attempt {state.deaths + 1})"
    return enter(state, "Restarting", message, now), None


def _wind_down(state: JobState, now: float, grace: float) -> Step[JobState]:
    if not state.handles:
        return _end(state, JobStatus.STOPPED, state.stop or "Stopped", now)
    stops = tuple(Stop(h, grace) for h in state.handles)
    return Step(JobStatus.STOPPING.value, state, stops)


def _end(
    state: JobState,
    status: JobStatus,
    secondary: str,
    now: float,
    failure: str | None = None,
) -> Step[JobState]:
    """The last step: whatever still runs is killed."""
    message = failure or MESSAGES[secondary]
    stops = tuple(Stop(h, 0.0) for h in state.handles)
    cut = None if failure is None else failure[:1024]
    ended = replace(state, ended=now, failure=cut, handles={})
    return Step(status.value, enter(ended, secondary, message[:1024], now), stops)


def _ignore(state: JobState, event: Event) -> JobState:
    return state


def _status(state: JobState, event: Event) -> JobState:
    # With many hosts the furthest one speaks for the job.
    here = STAGES.index(state.secondary) if state.secondary in STAGES else 0
    if state.stop is not None or state.ended is not None or event.name not in STAGES[here + 1 :]:
        return state
    return enter(state, event.name, event.message or MESSAGES[event.name], event.time)


def _metric(state: JobState, event: Event) -> JobState:
    if event.value is None:
        return state
    value = {"MetricName": event.name, "Value": event.value, "Timestamp": event.time}
    known = {m["MetricName"]: m for m in state.metrics}
    return replace(state, metrics=tuple({**known, event.name: value}.values()))


def _progress(state: JobState, event: Event) -> JobState:
    if event.value is not None and event.value > (state.progress or 0.0):
        state = replace(state, progress=event.value, deaths=0, dying=None)
    return replace(state, progress_message=event.message or state.progress_message)


def _note(state: JobState, event: Event) -> JobState:
    if event.name == "artifact":
        return replace(state, artifact=event.message)
    if event.name == "failure":
        return replace(state, failure=state.failure or event.message)
    what, _, host = event.name.partition("/")
    if what == "message":
        return replace(state, messages={**state.messages, host: event.message})
    return state


_OBSERVERS = {"status": _status, "metric": _metric, "progress": _progress, "note": _note}
