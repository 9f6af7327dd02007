"""One prepared request over many connections, without pause and without retries; every end counted.

A process of its own: ``python -m tests.chaos.load`` reads what to send from its first line of
standard input, and ends at the end of it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

CONNECTIONS = 32
PATIENCE = 75.0


@dataclass(frozen=True)
class Outcome:
    """answered: 200 with the one right body · failed: other answers, by what they were
    broken: connections that ended before the answer · longest: seconds to an answer"""

    answered: int
    failed: dict[str, int]
    broken: int
    longest: float


class Load:
    """Sends while the block runs; ``outcome`` after it."""

    def __init__(self, port: int, request: bytes, connections: int = CONNECTIONS) -> None:
        self._task = {"port": port, "request": request.hex(), "connections": connections}
        self._outcome: Outcome | None = None
        self._last = "0"

    def __enter__(self) -> Load:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._task) + "\n")
        self._process.stdin.flush()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reader.join()
        with self._process:  # which closes its pipes
            status = self._process.wait()
        if error is None:
            assert status == 0
            self._outcome = Outcome(**json.loads(self._last))

    @property
    def answered(self) -> int:
        """So far, as last told; about ten times a second."""
        assert self._process.poll() is None, "the load has ended"
        return int(self._last)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._last = line

    @property
    def outcome(self) -> Outcome:
        assert self._outcome is not None
        return self._outcome


class _Sender:
    """Counts for all connections. over: no further request is begun"""

    def __init__(self, port: int, request: bytes) -> None:
        self.port, self.request = port, request
        self.over = False
        self.answered = self.broken = 0
        self.failed: Counter[str] = Counter()
        self.longest = 0.0
        self.right: bytes | None = None

    async def run(self) -> None:
        """One connection after the other, until over."""
        while not self.over:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    while not self.over and await self._ask(reader, writer):
                        pass
                finally:
                    writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(self.request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
        except TimeoutError:
            self.failed["no answer"] += 1
            return False
        except (OSError, asyncio.IncompleteReadError):
            self.broken += 1
            return False
        self.longest = max(self.longest, time.monotonic() - began)
        self._note(head, body)
        return True

    def _note(self, head: bytes, body: bytes) -> None:
        status = head[9:12].decode()
        if self.right is None and status == "200":
            self.right = body
        if (status, body) == ("200", self.right):
            self.answered += 1
        else:
            self.failed[f"{status} {body[:300].decode()}"] += 1


async def _main() -> None:
    loop = asyncio.get_running_loop()
    task = json.loads(sys.stdin.readline())
    sender = _Sender(task["port"], bytes.fromhex(task["request"]))
    ended = loop.run_in_executor(None, sys.stdin.read)
    senders = [asyncio.create_task(sender.run()) for _ in range(task["connections"])]
    while not ended.done():
        await asyncio.wait([ended], timeout=0.1)
        print(sender.answered, flush=True)
    sender.over = True
    await asyncio.gather(*senders)
    outcome = Outcome(sender.answered, dict(sender.failed), sender.broken, sender.longest)
    print(json.dumps(outcome.__dict__), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
