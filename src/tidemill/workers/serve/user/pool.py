"""Processes of user code behind one queue: each is asked one request after another.

Whatever a process does, only requests that it has suffer: it is started again, and the others are
answered by those that run, or by the new one. A request whose process ends is tried once more: it
may only have been there. If that ends, too, it is answered as a failure of the model.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from tidemill.errors import Invalid, TidemillError
from tidemill.spec.frame import Frame
from tidemill.workers.serve.answers import Answer
from tidemill.workers.serve.refused import BUSY, failure, refusal
from tidemill.workers.serve.user.process import Gone

MOST_DEATHS = 2
"""Of processes that had a request, before it is to blame."""
PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds until a process that did not start is started again, at first and at most."""
GLANCE = 0.5
"""How often an idle process is looked after."""
SERVER_ERROR = 500

Deliver = Callable[[Answer], None]


class Asked(Protocol):
    """A process: ``process.Process``."""

    @property
    def is_running(self) -> bool: ...
    def wait_until_ready(self, patience: float) -> None: ...
    def ask(self, frame: Frame, patience: float) -> Answer: ...
    def ended(self) -> str: ...
    def end(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """processes: how many · start, answer: seconds that each may take · wait: seconds that a
    request may be in the queue
    """

    processes: int = 1
    start: float = 600.0
    answer: float = 60.0
    wait: float = 60.0


@dataclass(slots=True)
class _Job:
    frame: Frame
    deliver: Deliver
    since: float
    deaths: int = field(default=0)


class Pool:
    """start: makes a process, in the thread that is to ask it · complain: is told what ends"""

    def __init__(
        self, start: Callable[[], Asked], settings: Settings, complain: Callable[[str], None]
    ) -> None:
        self._start, self._settings, self._complain = start, settings, complain
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._ready = 0
        self._is_closed = False
        self._wrong: TidemillError | None = None
        self._threads = [
            threading.Thread(target=self._attend, name=f"user-{i}", daemon=True)
            for i in range(settings.processes)
        ]

    def open(self) -> None:
        """Start all processes; raises Invalid, all ended, when one of them does not start."""
        for thread in self._threads:
            thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._wrong or self._ready == len(self._threads))
            wrong = self._wrong
        if wrong is not None:
            self.close()
            raise wrong

    def submit(self, frame: Frame, deliver: Deliver) -> None:
        """Have a request answered some time. deliver: is called with the answer, in any thread"""
        with self._changed:
            if not self._is_closed:
                self._jobs.append(_Job(frame, deliver, time.monotonic()))
                self._changed.notify()
                return
        deliver(refusal(BUSY, "This replica ends. Try again."))

    def close(self) -> None:
        """End all processes; what waits is refused."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for job in self._jobs:
            job.deliver(refusal(BUSY, "This replica ends. Try again."))
        self._jobs.clear()

    # In the threads, one of each process

    def _attend(self) -> None:
        pause = PAUSE
        while not self._is_closed:
            process = self._started()
            if process is None:
                self._rest(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            elif self._serve(process):
                pause = PAUSE

    def _started(self) -> Asked | None:
        try:
            process = self._start()
            process.wait_until_ready(self._settings.start)
        except TidemillError as error:
            self._does_not_start(error)
        except OSError as error:
            wanted, do = "a process for user code", "Give the machine memory and processes."
            self._does_not_start(Invalid(wanted, got=str(error), do=do))
        else:
            with self._changed:
                self._ready += 1
                self._wrong = None
                self._changed.notify_all()
            return process
        return None

    def _does_not_start(self, error: TidemillError) -> None:
        """Where no other process can answer them, requests need not wait for this one."""
        with self._changed:
            self._wrong = error
            waiting: list[_Job] = [] if self._ready else list(self._jobs)
            for _ in waiting:
                self._jobs.popleft()
            self._changed.notify_all()
        if not self._is_closed:
            self._complain(f"A process of user code does not start: {error}")
        for job in waiting:
            job.deliver(failure(SERVER_ERROR, f"The model does not start: {error}"))

    def _serve(self, process: Asked) -> bool:
        """Ask it until it ends, or all is over; whether it has answered anything."""
        has_answered = False
        try:
            while (job := self._next(process)) is not None:
                if not self._ask(process, job):
                    break
                has_answered = True
        finally:
            with self._changed:
                self._ready -= 1
            process.end()
        if not self._is_closed:
            self._complain(f"A process of user code has ended ({process.ended()}); starting anew.")
            if not has_answered:
                self._rest(PAUSE)
        return has_answered

    def _ask(self, process: Asked, job: _Job) -> bool:
        """Whether the process can be asked again."""
        patience = self._settings.answer
        try:
            answer = process.ask(job.frame, patience)
        except TimeoutError:
            job.deliver(failure(SERVER_ERROR, _too_slow(patience)))
            return False
        except Gone:
            self._suspect(process, job)
            return False
        job.deliver(answer)
        return True

    def _suspect(self, process: Asked, job: _Job) -> None:
        job.deaths += 1
        if job.deaths >= MOST_DEATHS:
            job.deliver(failure(SERVER_ERROR, _to_blame(process.ended())))
            return
        with self._changed:
            self._jobs.appendleft(job)
            self._changed.notify()

    def _next(self, process: Asked) -> _Job | None:
        """The next request, once there is one; None when the process is gone, or all is over."""
        while process.is_running:
            with self._changed:
                if self._is_closed:
                    return None
                if not self._jobs:
                    self._changed.wait(GLANCE)
                    continue
                job = self._jobs.popleft()
            if time.monotonic() - job.since <= self._settings.wait:
                if process.is_running:
                    return job
                with self._changed:
                    self._jobs.appendleft(job)
            else:
                job.deliver(refusal(BUSY, _too_long(self._settings.wait)))
        return None

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, seconds)


MOST_PROCESSES = 256


def settings(environment: Mapping[str, str], patience: float) -> Settings:
    """As a container's variables ask for it. patience: seconds that the platform gives a request

    Raises Invalid for a variable that is no number above zero.
    """
    return Settings(
        processes=int(_number(environment, "SAGEMAKER_MODEL_SERVER_WORKERS", 1, MOST_PROCESSES)),
        start=_number(environment, "SAGEMAKER_STARTUP_TIMEOUT", 600),
        answer=_number(environment, "SAGEMAKER_MODEL_SERVER_TIMEOUT", patience),
        wait=patience,
    )


def _number(environment: Mapping[str, str], name: str, usual: float, most: float = 86_400) -> float:
    told = environment.get(name, "").strip()
    if not told:
        return usual
    if not (told.isascii() and told.isdigit() and 1 <= int(told) <= most):
        raise Invalid(f"{name}, a whole number from 1 to {most:g}", got=told, do="Correct it.")
    return float(told)


def ask_all(pool: Pool, frames: Sequence[Frame]) -> list[Answer]:
    """The answers to requests, in their order, once all are there."""
    found: dict[int, Answer] = {}
    is_done = threading.Semaphore(0)

    def deliver(index: int, answer: Answer) -> None:
        found[index] = answer
        is_done.release()

    for index, frame in enumerate(frames):
        pool.submit(frame, partial(deliver, index))
    for _ in frames:
        is_done.acquire()
    return [found[index] for index in range(len(frames))]


def _too_slow(seconds: float) -> str:
    return (
        f"The model took more than {seconds:g} s (SAGEMAKER_MODEL_SERVER_TIMEOUT) for this "
        "request. Its process was ended and is started anew."
    )


def _too_long(seconds: float) -> str:
    return f"This request waited {seconds:g} s for its turn. Try again later, or add replicas."


def _to_blame(how: str) -> str:
    return (
        f"This request ended {MOST_DEATHS} processes of the model, the last: {how}. The endpoint's "
        "log has what they said."
    )
