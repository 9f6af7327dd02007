"""Asynchronous endpoints: queued requests are answered one after the other, into S3.

Each is taken from the backlog in order, its input fetched, sent through the fleet like any other
request, its answer (or the reason why there is none) put into S3, and only then forgotten. A router
that dies on the way leaves it to the next one: a request may be asked of a model twice, and ends
in one object. Files are touched in threads only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from base64 import b64decode
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import NamedTuple, TypeVar

from tidemill.errors import NotFound, TidemillError
from tidemill.router.backlog import Backlog, Entry, Key
from tidemill.router.clock import Clock
from tidemill.router.fleet import Fleet
from tidemill.router.meter import Meters
from tidemill.router.notices import Notices, message
from tidemill.router.queued import EXPIRED, UNFETCHED, Outcome, Queued
from tidemill.router.tally import Tally
from tidemill.spec.home import Home
from tidemill.spec.meters import Queue
from tidemill.spec.route import Route
from tidemill.storage.bucket import Buckets
from tidemill.storage.metadata import Metadata
from tidemill.storage.uri import parse

MOST_REQUESTS, MOST_BYTES = 100_000, 128 * 2**20
"""Of the whole queue, as it is written down."""
MOST_INPUT = 2**30
"""Bytes of one input, and of all inputs that are in memory at a time."""
THREADS = 8
LOOK_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
MARK = "tidemill-request"

log = logging.getLogger(__name__)
T = TypeVar("T")


class Waiting:
    """A request in the queue. size: bytes on disk · tries: how often it was put back
    is_left: an earlier router may have answered it already · began: when it last left the queue, in
    epoch seconds · variant: that had it last, or would have
    """

    __slots__ = ("began", "entry", "is_left", "size", "tries", "variant")

    def __init__(self, entry: Entry, size: int, *, is_left: bool = False) -> None:
        self.entry = entry
        self.size = size
        self.is_left = is_left
        self.tries = 0
        self.began = 0.0
        self.variant = ""


class Input(NamedTuple):
    """size: bytes · fetch: reads them, in a thread"""

    size: int
    fetch: Callable[[], bytes]


class Dispatcher:
    """The queue, and the requests of it that are under way.

    next_id: of frames · meters: where it counts what becomes of the requests
    """

    def __init__(
        self,
        home: Home,
        fleet: Fleet,
        next_id: Callable[[], int],
        clock: Clock,
        meters: Meters | None = None,
    ) -> None:
        self.size = self.load = 0
        self._backlog = Backlog(home.asynchronous)
        self._buckets = Buckets(home.buckets, sync=True)
        self._notices = Notices(home.topics)
        self._fleet = fleet
        self._next_id = next_id
        self._clock = clock
        self._meters = meters or Meters()
        self._meters.queues = self.queues
        self._lines: dict[Key, deque[Waiting]] = {}
        self._known: dict[Key, dict[str, float]] = {}  # when those came that have not ended
        self._under_way = Counter[Key]()
        self._loaded = 0  # bytes of inputs in memory
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(THREADS, "async")
        self._loop = asyncio.get_running_loop()
        self._looked = 0.0
        self._closing = False
        self._spawn(self._take_over())

    def has_room(self, size: int) -> bool:
        """May a request of so many bytes come into the queue?"""
        return self.size < MOST_REQUESTS and self.load + size <= MOST_BYTES

    def keep(self, entry: Entry, data: bytes, told: Callable[[OSError | None], None]) -> None:
        """Take a request; ``told`` is called once it cannot be lost any more, or has no place."""
        self._count(len(data), 1)
        self._spawn(self._keep(Waiting(entry, len(data)), data, told))

    def queues(self) -> tuple[Queue, ...]:
        """How long the queue of each asynchronous endpoint is at this moment."""
        return tuple(self._queue(route) for route in self._fleet.asynchronous())

    def tick(self, now: float) -> None:
        """Some times a second: what waits goes on where it can, and does not wait for ever."""
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        self._expire()
        for key in list(self._lines):
            self._go_on(key)

    async def close(self) -> None:
        """Begin nothing; what is under way is left to the next router."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(cancel_futures=True)
        self._notices.close()

    # The queue

    async def _take_over(self) -> None:
        """What an earlier router has left comes before what is new."""
        found = await self._in_thread(self._backlog.left)
        lines: dict[Key, list[Waiting]] = {}
        for entry, size in found:
            self._count(size, 1)
            lines.setdefault(entry.key, []).append(Waiting(entry, size, is_left=True))
        for key, left in lines.items():
            came = {waiting.entry.name: waiting.entry.at for waiting in left}
            self._known[key] = {**came, **self._known.get(key, {})}
            self._line(key).extendleft(reversed(left))
            self._go_on(key)

    async def _keep(
        self, waiting: Waiting, data: bytes, told: Callable[[OSError | None], None]
    ) -> None:
        name = waiting.entry.name
        try:
            await self._in_thread(lambda: self._backlog.write(name, data))
        except OSError as error:
            log.error("a request could not be queued: %s", error)
            self._count(waiting.size, -1)
            told(error)
            return
        told(None)
        self._known.setdefault(waiting.entry.key, {})[name] = waiting.entry.at
        self._line(waiting.entry.key).append(waiting)
        self._go_on(waiting.entry.key)

    def _go_on(self, key: Key) -> None:
        """Send as many as the replicas may have under way."""
        line = self._lines.get(key)
        if line is None or self._closing:
            return
        most = self._most(key) if line else 0
        while line and self._under_way[key] < most:
            self._begin(key, line.popleft())
        if not line:
            del self._lines[key]

    def _most(self, key: Key) -> int:
        route = self._fleet.route(*key)
        if route is None or route.asynchronous is None or not self._fleet.is_up(*key):
            return 0
        return _replicas(route) * route.asynchronous.concurrent

    def _queue(self, route: Route) -> Queue:
        known = self._known.get((route.region, route.endpoint), {})
        oldest = next(iter(known.values()), 0.0)
        return Queue(route.region, route.endpoint, len(known), oldest, _replicas(route))

    def _expire(self) -> None:
        now = time.time()
        for key, line in list(self._lines.items()):
            late = [waiting for waiting in line if waiting.entry.expires <= now]
            if late:
                gone = set(map(id, late))
                self._lines[key] = deque(one for one in line if id(one) not in gone)
                for waiting in late:
                    self._begin(key, waiting)

    def _line(self, key: Key) -> deque[Waiting]:
        return self._lines.setdefault(key, deque())

    def _count(self, size: int, number: int) -> None:
        self.size += number
        self.load += number * size

    # One request

    def _begin(self, key: Key, waiting: Waiting) -> None:
        self._under_way[key] += 1
        waiting.began = time.time()
        self._spawn(self._process(key, waiting))

    async def _process(self, key: Key, waiting: Waiting) -> None:
        has_ended = False
        try:
            has_ended = await self._attempt(waiting)
        except (OSError, TidemillError) as error:
            log.warning("request %s of %s is tried again: %s", waiting.entry.id, key[1], error)
        except Exception:  # nothing that one request holds ends the others, or itself
            log.exception("request %s of %s is tried again", waiting.entry.id, key[1])
        finally:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]
        if has_ended:
            self._count(waiting.size, -1)
            self._forget(key, waiting)
        else:
            pause = min(FIRST_PAUSE * 2**waiting.tries, LONGEST_PAUSE)
            waiting.tries = min(waiting.tries + 1, 10)
            self._loop.call_later(pause, self._put_back, waiting)
        self._go_on(key)

    def _forget(self, key: Key, waiting: Waiting) -> None:
        known = self._known.get(key, {})
        known.pop(waiting.entry.name, None)
        if not known:
            self._known.pop(key, None)

    def _put_back(self, waiting: Waiting) -> None:
        self._line(waiting.entry.key).appendleft(waiting)
        self._go_on(waiting.entry.key)

    async def _attempt(self, waiting: Waiting) -> bool:
        """Whether the request has its one final object."""
        entry = waiting.entry
        if waiting.is_left and await self._in_thread(lambda: self._is_answered(entry)):
            await self._in_thread(lambda: self._backlog.remove(entry.name))
            return True
        outcome = await self._outcome(waiting)
        if outcome is None:
            return False
        waiting.is_left = True  # should only the removal fail
        tally = self._tally(waiting)
        began = perf_counter()
        try:
            is_put = await self._in_thread(lambda: self._finish(entry, outcome))
        except (OSError, TidemillError):
            tally.unput += 1
            raise
        if is_put:
            tally.put.add(perf_counter() - began)
        else:
            tally.unput += 1
        _score(tally, waiting, outcome)
        topic = entry.error_topic if outcome.failure else entry.success_topic
        about = message(entry, time.time(), outcome.failure, outcome.content_type)
        self._notices.tell(topic, about, partial(self._loop.call_soon_threadsafe, tally.miss))
        return True

    def _tally(self, waiting: Waiting) -> Tally:
        """Of the variant that it went to; where it went to none, of the endpoint's first."""
        entry = waiting.entry
        name = waiting.variant
        if not name:
            route = self._fleet.route(*entry.key)
            name = route.variants[0].name if route is not None and route.variants else ""
        return self._meters.tally(entry.region, entry.endpoint, name)

    async def _outcome(self, waiting: Waiting) -> Outcome | None:
        """The answer, or why there is none; None when it is to be tried again."""
        entry = waiting.entry
        if time.time() >= entry.expires:
            why = f"the request has waited for {entry.ttl} s, its RequestTTLSeconds"
            return Outcome(f"ClientError: {why}. Send it again, or add replicas.", kind=EXPIRED)
        try:
            input = await self._in_thread(lambda: self._input(entry))
        except TidemillError as error:
            return _no_input(error)
        if input.size > MOST_INPUT:
            why = f"the input must be at most {MOST_INPUT} bytes; got {input.size}"
            return Outcome(f"ClientError: {why}. Send the rows in several requests.")
        while self._loaded and self._loaded + input.size > MOST_INPUT:
            await asyncio.sleep(LOOK_SECONDS / 10)
        self._loaded += input.size
        try:
            return await self._ask(waiting, input)
        finally:
            self._loaded -= input.size

    async def _ask(self, waiting: Waiting, input: Input) -> Outcome | None:
        entry, began = waiting.entry, perf_counter()
        try:
            body = await self._in_thread(input.fetch)
        except NotFound as error:  # it was there a moment ago
            return _no_input(error)
        fetched = perf_counter() - began
        call = Queued(entry, self._next_id(), body, self._clock.now + entry.timeout)
        self._fleet.send(call)
        try:
            return await call.ended
        finally:
            call.gone = True
            waiting.variant = call.variant.decode()
            if entry.source:
                self._tally(waiting).fetched.add(fetched)

    # In threads

    def _input(self, entry: Entry) -> Input:
        if not entry.source:
            body = b64decode(entry.body)
            return Input(len(body), lambda: body)
        bucket, key = parse(entry.source)
        info = self._buckets.head(bucket, key)
        return Input(info.size, lambda: self._buckets.get_bytes(bucket, key))

    def _is_answered(self, entry: Entry) -> bool:
        """Did an earlier try put its object, and end before the request was forgotten?"""
        for uri in (entry.output, entry.failure):
            try:
                info = self._buckets.head(*parse(uri))
            except NotFound:
                continue
            if info.metadata.user.get(MARK) == entry.name:
                return True
        return False

    def _finish(self, entry: Entry, outcome: Outcome) -> bool:
        """Put the object, then forget the request; whether there is an object."""
        place = entry.failure if outcome.failure else entry.output
        about = Metadata(
            outcome.content_type or "application/octet-stream", user={MARK: entry.name}
        )
        try:
            self._buckets.put_bytes(*parse(place), outcome.body, about)
        except (OSError, TidemillError) as error:
            if time.time() < entry.expires:
                raise
            log.error("request %s of %s ends unanswered: %s", entry.id, entry.endpoint, error)
            is_put = False
        else:
            is_put = True
        self._backlog.remove(entry.name)
        return is_put

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._threads, work)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an asynchronous request fails here", exc_info=error)


def _replicas(route: Route) -> int:
    """How many an endpoint has, be they up or not."""
    return sum(len(variant.replicas) for variant in route.variants)


def _no_input(error: TidemillError) -> Outcome:
    return Outcome(f"ClientError: the input must be an object in S3: {error}", kind=UNFETCHED)


def _score(tally: Tally, waiting: Waiting, outcome: Outcome) -> None:
    """Count a request that has ended."""
    if outcome.kind == EXPIRED:
        tally.expired += 1
        return
    tally.unfetched += outcome.kind == UNFETCHED
    at = waiting.entry.at
    tally.end(failed=bool(outcome.failure), waited=waiting.began - at, took=time.time() - at)
