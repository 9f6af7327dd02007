from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tidemill.data.prefetch import prefetch


def test_items_come_in_order() -> None:
    assert list(prefetch(iter(range(100)), 3)) == list(range(100))


def test_an_error_comes_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken")

    found = []
    with pytest.raises(ValueError, match="broken"):  # noqa: PT012 - what came before it counts
        for item in prefetch(items(), 5):
            found.append(item)
    assert found == [1, 2]


def test_no_more_is_made_than_asked_ahead() -> None:
    made = threading.Semaphore(0)
    count = []

    def items() -> Iterator[int]:
        for number in range(100):
            count.append(number)
            made.release()
            yield number

    ready = prefetch(items(), 2)
    assert next(ready) == 0
    for _ in range(4):  # the one given, two in the queue, one at hand
        assert made.acquire(timeout=10)
    assert not made.acquire(timeout=0.1)
    assert len(count) == 4
    ready.close()


def test_closing_ends_the_thread_and_closes_the_items() -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append(True)

    before = threading.active_count()
    ready = prefetch(items(), 1)
    next(ready)
    ready.close()
    assert closed == [True]
    assert threading.active_count() == before
