"""Requests and processes of user code: who has which, and what becomes of the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import pytest

from tidemill.data.content_type import TENSORS
from tidemill.errors import Invalid
from tidemill.spec.frame import REQUEST, Frame
from tidemill.workers.serve.answers import Answer
from tidemill.workers.serve.user.hosted import MOST_WAITING, Deferred
from tidemill.workers.serve.user.pool import Pool, Settings, ask_all, settings
from tidemill.workers.serve.user.process import Gone


class Fake:
    """A process: ``kill`` ends it, ``hang`` does not answer, all else is echoed."""

    def __init__(self, number: int, starts: Callable[[int], bool]) -> None:
        self.number, self._starts = number, starts
        self.is_running = True

    def wait_until_ready(self, patience: float) -> None:
        self.is_running = self._starts(self.number)
        if not self.is_running:
            raise Invalid("user code that starts", got="ImportError: torch", do="Correct it.")

    def ask(self, frame: Frame, patience: float) -> Answer:
        if frame.body == b"kill":
            self.is_running = False
            raise Gone
        if frame.body == b"hang":
            raise TimeoutError
        return Answer(200, b"", b"%d:%s" % (self.number, frame.body))

    def ended(self) -> str:
        return "killed by signal 9"

    def end(self) -> None:
        self.is_running = False


@contextmanager
def pool(
    wanted: Settings | None = None, starts: Callable[[int], bool] = lambda number: True
) -> Iterator[tuple[Pool, list[Fake], list[str]]]:
    made: list[Fake] = []
    said: list[str] = []

    def start() -> Fake:
        made.append(Fake(len(made), starts))
        return made[-1]

    opened = Pool(start, wanted or Settings(), said.append)
    try:
        yield opened, made, said
    finally:
        opened.close()
    assert not any(one.is_running for one in made)


def frames(*bodies: bytes) -> list[Frame]:
    return [Frame(REQUEST, index, 0, b"", body) for index, body in enumerate(bodies)]


def test_requests_are_answered_in_their_order() -> None:
    with pool() as (opened, _, _):
        opened.open()
        found = [answer.body for answer in ask_all(opened, frames(b"a", b"b", b"c"))]
    assert found == [b"0:a", b"0:b", b"0:c"]


def test_a_request_that_ends_two_processes_is_to_blame_and_the_others_are_answered() -> None:
    with pool() as (opened, made, said):
        opened.open()
        first, guilty, last = ask_all(opened, frames(b"a", b"kill", b"b"))
    assert (first.body, last.body) == (b"0:a", b"2:b")
    assert guilty.status == 500
    assert b"ended 2 processes of the model, the last: killed by signal 9" in guilty.body
    assert len(made) == 3
    assert "killed by signal 9" in said[0]


def test_one_that_takes_too_long_is_ended_with_its_process_alone() -> None:
    with pool(Settings(answer=7)) as (opened, made, _):
        opened.open()
        slow, next_one = ask_all(opened, frames(b"hang", b"a"))
    assert (slow.status, next_one.body, len(made)) == (500, b"1:a", 2)
    assert b"more than 7 s" in slow.body


def test_a_process_that_does_not_start_says_why() -> None:
    with (
        pool(starts=lambda number: False) as (opened, _, _),
        pytest.raises(Invalid, match="ImportError: torch"),
    ):
        opened.open()


def test_requests_do_not_wait_for_what_does_not_start_again() -> None:
    with pool(starts=lambda number: number == 0) as (opened, _, said):
        opened.open()
        guilty, other = ask_all(opened, frames(b"kill", b"a"))
    assert (guilty.status, other.status) == (500, 500)
    assert b"The model does not start: user code that starts; got 'ImportError: torch'" in (
        other.body
    )
    assert any("does not start" in text for text in said)


def test_several_processes_answer_side_by_side() -> None:
    with pool(Settings(processes=3)) as (opened, made, _):
        opened.open()
        assert len(made) == 3
        answers = ask_all(opened, frames(*[b"a"] * 30))
    assert {answer.status for answer in answers} == {200}


def test_what_waited_for_too_long_is_not_begun() -> None:
    with pool(Settings(wait=-1)) as (opened, _, _):
        opened.open()
        [answer] = ask_all(opened, frames(b"a"))
    assert (answer.status, answer.head.split(b"\n")[3]) == (503, b"ServiceUnavailable")


def test_a_pool_that_is_closed_refuses() -> None:
    with pool() as (opened, _, _):
        opened.open()
    [answer] = ask_all(opened, frames(b"a"))
    assert answer.status == 503


def test_answers_that_come_later_ring_and_too_many_requests_are_refused() -> None:
    held: list[Callable[[Answer], None]] = []
    bell: SimpleQueue[None] = SimpleQueue()
    deferred = Deferred(
        lambda frame, deliver: held.append(deliver), lambda: bell.put(None), lambda: None
    )
    asked = frames(*[b"x"] * (MOST_WAITING + 1))
    *waiting, refused = deferred(asked)
    assert set(waiting) == {None}
    assert refused is not None
    assert refused.status == 503
    threading.Thread(target=held[3], args=[Answer(200, b"", b"y")]).start()
    bell.get(timeout=10)
    assert deferred.later() == [(asked[3], Answer(200, b"", b"y"))]
    assert deferred(frames(b"z")) == [None]


def test_the_open_inference_protocol_is_refused() -> None:
    deferred = Deferred(lambda *_: None, lambda: None, lambda: None)
    frame = Frame(REQUEST, 1, 0, f"{TENSORS}\n\n".encode(), b"")
    [refused] = deferred([frame])
    assert refused is not None
    assert refused.status == 415


def test_variables_say_how_many_processes_and_how_long() -> None:
    told = {
        "SAGEMAKER_MODEL_SERVER_WORKERS": "3",
        "SAGEMAKER_STARTUP_TIMEOUT": "30",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": "5",
    }
    assert settings(told, 60) == Settings(processes=3, start=30, answer=5, wait=60)
    assert settings({}, 3600) == Settings(answer=3600, wait=3600)
    with pytest.raises(Invalid, match="SAGEMAKER_MODEL_SERVER_WORKERS"):
        settings({"SAGEMAKER_MODEL_SERVER_WORKERS": "0"}, 60)
    with pytest.raises(Invalid, match="SAGEMAKER_MODEL_SERVER_TIMEOUT"):
        settings({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "soon"}, 60)
