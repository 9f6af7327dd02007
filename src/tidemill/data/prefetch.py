"""The next items of an iterator made ready in the background."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

T = TypeVar("T")

WAIT = 0.05
"""Seconds between looks at whether the consumer has gone, while the queue is full."""


def prefetch(items: Iterator[T], ahead: int) -> Generator[T, None, None]:
    """The same items, up to ``ahead`` of them made before they are asked for, in a thread.

    An error among the items is raised here in its turn. When the consumer stops early (the
    generator is closed or dropped) the thread ends, and closes ``items``.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(ahead)
    gone = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, ready, gone), daemon=True, name="prefetch")
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        gone.set()
        thread.join()


def _fill(
    items: Iterator[T],
    ready: queue.Queue[tuple[T | None, BaseException | None]],
    gone: threading.Event,
) -> None:
    end: tuple[T | None, BaseException | None] = None, None
    try:
        for item in items:
            if not _put(ready, (item, None), gone):
                break
    except BaseException as error:
        end = None, error
    finally:
        close = getattr(items, "close", None)
        if close:
            close()
        _put(ready, end, gone)


def _put(
    ready: queue.Queue[tuple[T | None, BaseException | None]],
    item: tuple[T | None, BaseException | None],
    gone: threading.Event,
) -> bool:
    """Whether the consumer was still there to take it."""
    while not gone.is_set():
        try:
            ready.put(item, timeout=WAIT)
        except queue.Full:
            continue
        return True
    return False
