"""The plan of a job as tables, and as a machine that may meet any history."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidemill.control.plan.step import Seen, Start, Step, Stop, why
from tidemill.control.plan.training_job import (
    JobState,
    begin,
    from_document,
    launched,
    observe,
    plan,
    stop,
)
from tidemill.spec.event import Event
from tidemill.spec.training_job import MOVES, JobStatus

HOSTS = ["algo-1", "algo-2"]
KILLED, DONE = Seen(-9), Seen(0)


def step(state: JobState, seen: dict[str, Seen] | None = None, **fields: object) -> Step[JobState]:
    given = {"hosts": HOSTS, "max_seconds": 100.0, "problem": None, "now": 10.0, **fields}
    status = JobStatus.STOPPING if state.stop else JobStatus.IN_PROGRESS
    return plan(status, state, seen=seen or {}, **given)  # type: ignore[arg-type]


def running() -> JobState:
    state = begin("/home", 1.0)
    for host in HOSTS:
        state = launched(state, host, f"handle of {host}", 2.0)
    return state


NEW = begin("/home", 1.0)
ONE_DONE = step(running(), {"algo-1": DONE}).state
TABLE: dict[str, tuple[JobState, dict[str, Seen], str, tuple[Start | Stop, ...]]] = {
    "a new job starts everywhere": (
        NEW,
        {},
        "InProgress",
        (Start("algo-1"), Start("algo-2")),
    ),
    "a running job is left alone": (running(), {}, "InProgress", ()),
    "one host done is not the job done": (running(), {"algo-1": DONE}, "InProgress", ()),
    "all done is done": (ONE_DONE, {"algo-2": DONE}, "Completed", ()),
    "a killed worker starts again": (
        running(),
        {"algo-2": KILLED},
        "InProgress",
        (Start("algo-2"),),
    ),
    "a failed worker fails the job, and the other is killed": (
        running(),
        {"algo-1": Seen(1, failure="ClientError: x")},
        "Failed",
        (Stop("algo-2", 0.0),),
    ),
    "a lost start that has finished is not begun again": (
        NEW,
        {"algo-1": DONE},
        "InProgress",
        (Start("algo-2"),),
    ),
    "one stopped from outside starts again": (
        running(),
        {"algo-1": Seen(0, stopped=True)},
        "InProgress",
        (Start("algo-1"),),
    ),
    "a stopping job asks all to end": (
        stop(running(), "Stopped", 5.0),
        {},
        "Stopping",
        (Stop("algo-1", 120.0), Stop("algo-2", 120.0)),
    ),
    "a stopping job waits for the last": (
        stop(running(), "Stopped", 5.0),
        {"algo-1": Seen(0, stopped=True)},
        "Stopping",
        (Stop("algo-2", 120.0),),
    ),
    "a stopped job does not mind how its workers ended": (
        stop(running(), "Stopped", 5.0),
        {"algo-1": Seen(1, failure="x"), "algo-2": KILLED},
        "Stopped",
        (),
    ),
    "a job stopped before it began has stopped": (stop(NEW, "Stopped", 5.0), {}, "Stopped", ()),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_next_step(case: str) -> None:
    state, seen, status, effects = TABLE[case]
    found = step(state, seen)
    assert (found.status, found.effects) == (status, effects)


def test_a_final_job_needs_nothing() -> None:
    state = running()
    for status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED):
        found = plan(status, state, hosts=HOSTS, max_seconds=1, seen={}, problem="?", now=99.0)
        assert (found.state, found.effects) == (state, ())


def test_what_can_never_run_fails_before_anything_starts() -> None:
    found = step(NEW, problem="ClientError: no such image")
    assert (found.status, found.effects) == ("Failed", ())
    assert found.state.failure == "ClientError: no such image"


def test_a_job_for_which_there_is_no_room_waits_and_then_starts() -> None:
    waiting = step(NEW, has_room=False)
    assert (waiting.status, waiting.effects) == ("InProgress", ())
    again = step(waiting.state, has_room=False, now=11.0)
    assert again.state == waiting.state
    assert step(again.state, now=500.0).effects == (Start("algo-1"), Start("algo-2"))
    state = launched(again.state, "algo-1", "handle", 500.0)
    assert [t["Status"] for t in state.transitions] == ["Starting", "Pending", "Starting"]
    assert state.started == 500.0, "waiting is no run time"


def test_a_job_that_has_begun_has_its_place() -> None:
    found = step(running(), {"algo-1": KILLED}, has_room=False)
    assert found.effects == (Start("algo-1"),)


def test_a_job_that_waits_can_be_stopped_and_can_fail() -> None:
    waiting = step(NEW, has_room=False).state
    assert step(stop(waiting, "Stopped", 11.0), has_room=False).status == "Stopped"
    assert step(waiting, has_room=False, problem="ClientError: no").status == "Failed"


@pytest.mark.parametrize(("now", "status"), [(102.0, "InProgress"), (102.1, "Stopping")])
def test_time_is_counted_from_the_first_start(now: float, status: str) -> None:
    found = step(running(), now=now)
    assert found.status == status
    assert found.state.stop == (None if status == "InProgress" else "MaxRuntimeExceeded")


def test_pauses_grow_with_the_deaths() -> None:
    state, delays = running(), []
    for _ in range(9):
        state = step(state, {"algo-1": KILLED}, now=10.0).state
        waits = (0.0, 0.2, 0.4, 0.8, 1.6, 2.0)
        delay = next(d for d in waits if step(state, now=10.0 + d).effects)
        delays.append(delay)
        state = launched(state, "algo-1", "again", 10.0)
    assert delays == [0.0, 0.0, 0.0, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert step(state, {"algo-1": KILLED}, now=39.0).status == "InProgress"
    assert step(state, {"algo-1": KILLED}, now=40.0).status == "Failed"


def test_only_new_progress_forgives_deaths() -> None:
    state = replace(running(), deaths=4, progress=0.5)
    assert observe(state, [Event(1.0, "progress", value=0.5, message="again")]).deaths == 4
    assert observe(state, [Event(1.0, "metric", "m", 1.0)]).deaths == 4
    assert observe(state, [Event(1.0, "progress", value=0.6)]).deaths == 0


def test_the_furthest_host_speaks_for_the_job() -> None:
    names = ["Downloading", "Downloading", "Training", "Downloading", "Uploading", "Training", "?"]
    state = observe(running(), [Event(2.0 + i, "status", n) for i, n in enumerate(names)])
    assert [t["Status"] for t in state.transitions] == [
        *("Starting", "Downloading", "Training", "Uploading")
    ]
    assert [t.get("EndTime") for t in state.transitions] == [2.0, 4.0, 6.0, None]


def test_a_clock_set_back_turns_no_stage_around() -> None:
    state = observe(running(), [Event(-50.0, "status", "Training")])
    assert [(t["StartTime"], t.get("EndTime")) for t in state.transitions] == [
        (1.0, 1.0),
        (1.0, None),
    ]


def test_what_is_told_after_the_end_changes_no_stage() -> None:
    ended = step(ONE_DONE, {"algo-2": DONE}).state
    assert observe(ended, [Event(99.0, "status", "Training")]) == ended


def test_a_workers_own_words_are_the_message() -> None:
    state = observe(running(), [Event(3.0, "status", "Training", message="pass 1 of 3")])
    assert state.transitions[-1]["StatusMessage"] == "pass 1 of 3"


def test_a_failure_that_is_told_fails_the_job_once_all_have_ended() -> None:
    told = [Event(3.0, "note", "failure", message=why) for why in ("first", "second")]
    state = observe(running(), told)
    one = step(state, {"algo-1": DONE})
    assert (one.status, one.effects) == ("InProgress", ())
    both = step(one.state, {"algo-2": DONE})
    assert (both.status, both.state.failure) == ("Failed", "first")


def test_what_each_host_leaves_to_be_known_is_kept_once() -> None:
    told = [("algo-2", "b"), ("algo-1", "of a killed attempt"), ("algo-1", "a")]
    state = observe(running(), [Event(3.0, "note", f"message/{h}", message=m) for h, m in told])
    assert state.messages == {"algo-1": "a", "algo-2": "b"}
    assert from_document(state.to_document()) == state


def test_metrics_keep_their_last_value_and_first_place() -> None:
    told = [("a", 1.0), ("b", 2.0), ("a", 3.0)]
    state = observe(running(), [Event(float(i), "metric", n, v) for i, (n, v) in enumerate(told)])
    assert [(m["MetricName"], m["Value"], m["Timestamp"]) for m in state.metrics] == [
        ("a", 3.0, 2.0),
        ("b", 2.0, 1.0),
    ]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Seen(1, failure="ClientError: x\n"), "ClientError: x, exit code: 1"),
        (Seen(-9, log="last | lines"), "killed by signal 9"),
        (Seen(3), "printed nothing"),
        (Seen(1, failure="y" * 5000), "y, exit code: 1"),
    ],
)
def test_a_reason_says_what_is_known(seen: Seen, words: str) -> None:
    assert words in why(seen)
    assert len(why(seen)) <= 1024


class AnyHistory(RuleBasedStateMachine):
    """Starts, ends, kills, events and stops in any order keep the lifecycle's rules."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1.0
        self.state = begin("/home", self.now)
        self.status = JobStatus.IN_PROGRESS
        self.alive: set[str] = set()

    def advance(self, seen: dict[str, Seen] | None = None) -> None:
        before = self.status
        self.now += 1.0
        self.alive -= set(seen or {})
        found = plan(
            self.status,
            self.state,
            hosts=HOSTS,
            max_seconds=60.0,
            seen=seen or {},
            problem=None,
            now=self.now,
        )
        self.state, self.status = found.state, JobStatus(found.status)
        assert self.status is before or self.status in MOVES[before]
        for effect in found.effects:
            self.do(effect)

    def do(self, effect: Start | Stop) -> None:
        if isinstance(effect, Start):
            assert effect.worker not in self.alive, "a worker is never doubled"
            self.alive.add(effect.worker)
            self.state = launched(self.state, effect.worker, f"handle {self.now}", self.now)
        else:
            assert effect.worker in self.alive
            self.alive -= {effect.worker} if effect.grace == 0 else set()

    @rule()
    def look(self) -> None:
        self.advance()

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), code=st.sampled_from([0, 0, 0, 1, -9, -15]), stopped=st.booleans())
    def end(self, data: st.DataObject, code: int, stopped: bool) -> None:
        host = data.draw(st.sampled_from(sorted(self.alive)))
        self.advance({host: Seen(code, stopped=stopped and code == 0)})

    @rule(name=st.sampled_from(["Downloading", "Training", "Uploading"]))
    def tell(self, name: str) -> None:
        self.state = observe(self.state, [Event(self.now, "status", name)])

    @rule(value=st.floats(0, 1))
    def progress(self, value: float) -> None:
        self.state = observe(self.state, [Event(self.now, "progress", value=value)])

    @precondition(lambda self: self.status is JobStatus.IN_PROGRESS)
    @rule()
    def ask_to_stop(self) -> None:
        self.state, self.status = stop(self.state, "Stopped", self.now), JobStatus.STOPPING

    @invariant()
    def what_is_over_runs_no_more(self) -> None:
        if self.status.is_final:
            assert self.alive == set()
            assert self.state.ended is not None
            assert (self.state.failure is not None) == (self.status is JobStatus.FAILED)
        assert set(self.state.handles) == self.alive

    @invariant()
    def transitions_follow_each_other(self) -> None:
        times = [t["StartTime"] for t in self.state.transitions]
        ends = [t.get("EndTime") for t in self.state.transitions]
        assert times == sorted(times)
        assert None not in ends[:-1]
        assert (ends[-1] is None) == (not self.status.is_final)

    @invariant()
    def it_can_be_written_down(self) -> None:
        assert from_document(self.state.to_document()) == self.state


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
