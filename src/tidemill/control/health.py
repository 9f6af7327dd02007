"""Asks replicas whether they still answer; one that has stopped answering hangs."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from tidemill.spec.address import Unix, parse
from tidemill.spec.frame import HEADER, PING, PONG, pack, unpack

_LOG = logging.getLogger(__name__)


class Health:
    """Pings every watched replica all the time, in a thread of its own.

    period, timeout: seconds between pings and for an answer · misses: so many in a row and it
    hangs · on_hung: called when one is found. A replica answers no ping while it computes a batch,
    so the defaults bear batches of half a minute.
    """

    def __init__(
        self,
        on_hung: Callable[[], None],
        *,
        period: float = 2.0,
        timeout: float = 10.0,
        misses: int = 3,
    ) -> None:
        self._on_hung = on_hung
        self._period = period
        self._timeout = timeout
        self._most = misses
        self._targets: Mapping[str, str] = {}
        self._missed: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def start(self) -> None:
        """Begin to ping."""
        self._thread.start()

    def close(self) -> None:
        """Stop; returns when the last pings are answered or have timed out."""
        self._over.set()
        self._thread.join()

    def watch(self, targets: Mapping[str, str]) -> None:
        """Ping these from now on: handle → address."""
        self._targets = dict(targets)

    def hangs(self, handle: str) -> bool:
        """Whether this process has missed too many pings."""
        return self._missed.get(handle, 0) >= self._most

    def _run(self) -> None:
        while not self._over.wait(self._period):
            targets = self._targets
            try:
                answers = asyncio.run(_ping_all(targets, self._timeout)) if targets else {}
            except OSError:  # no file to be had for the loop itself: that is no replica's fault
                _LOG.exception("the replicas could not be asked")
                continue
            missed = {h: 0 if ok else self._missed.get(h, 0) + 1 for h, ok in answers.items()}
            self._missed = missed
            if any(self.hangs(h) for h in missed):
                self._on_hung()


async def ping(address: str, timeout: float) -> bool:
    """Whether what listens there (``unix:/path`` or ``tcp:host:port``) answers in time."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(timeout):
            reader, writer = await _connect(address)
            try:
                writer.write(pack(PING, 1, 0, b"", b""))
                frames, _ = unpack(await reader.readexactly(HEADER.size))
                return bool(frames) and frames[0].kind == PONG
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    return False


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    where = parse(address)
    if isinstance(where, Unix):
        return await asyncio.open_unix_connection(where.path)
    return await asyncio.open_connection(where.host, where.port)


async def _ping_all(targets: Mapping[str, str], timeout: float) -> dict[str, bool]:
    answers = await asyncio.gather(*(ping(a, timeout) for a in targets.values()))
    return dict(zip(targets, answers, strict=True))
