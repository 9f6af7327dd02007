"""The queue of asynchronous requests on disk: a request that is written down survives everything.

One file a request, named so that their order is that of their arrival. It is there whole or not at
all, and synced before the client hears of it; it goes once the answer lies in S3. Methods that
touch the disk are for threads.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from uuid import uuid4

import orjson

from tidemill.spec.async_inference import LONGEST_TTL, TIMEOUT

_OURS = uuid4().hex
_serial = count(1)

log = logging.getLogger(__name__)
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A request to an asynchronous endpoint.

    name: its own, of all requests there ever are · id: the inference id · at: arrival, in epoch
    seconds · source: S3 URI of its input, or empty for ``body`` (in base64) · output, failure: S3
    URIs of the answer, and of the reason why there is none · ttl: seconds that it may wait
    timeout: seconds that its answer may take · success_topic, error_topic: who is told, or empty
    """

    name: str
    region: str
    endpoint: str
    id: str
    at: float
    output: str
    failure: str
    source: str = ""
    body: str = ""
    content_type: str = ""
    accept: str = ""
    attributes: str = ""
    ttl: int = LONGEST_TTL
    timeout: int = TIMEOUT
    success_topic: str = ""
    error_topic: str = ""

    @property
    def key(self) -> Key:
        return self.region, self.endpoint

    @property
    def expires(self) -> float:
        """Epoch seconds."""
        return self.at + self.ttl

    def to_bytes(self) -> bytes:
        return orjson.dumps(asdict(self))


def new_name() -> str:
    """A name that comes after those made before (if the clock runs on), and is made once only."""
    return f"{time.time_ns():020d}-{next(_serial):012d}-{_OURS}"


class Backlog:
    """The directory of all requests that wait or are under way."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, name: str, data: bytes) -> None:
        """Write a request down, for good: neither a kill nor a power cut loses it now."""
        draft = self._directory / f".{name}"
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self._directory / name)
            self._sync()
        except OSError:
            for path in (draft, self._directory / name):
                with suppress(OSError):
                    path.unlink()
            raise

    def remove(self, name: str) -> None:
        """Its answer lies in S3."""
        (self._directory / name).unlink(missing_ok=True)

    def left(self) -> list[tuple[Entry, int]]:
        """What earlier routers left, by arrival, with the bytes of each. What they had not wholly
        written down was promised to nobody, and goes.
        """
        found = []
        for path in sorted(self._directory.iterdir()):
            if path.name.endswith(_OURS):
                continue
            if path.name.startswith("."):
                path.unlink(missing_ok=True)
                continue
            try:
                data = path.read_bytes()
                found.append((Entry(**orjson.loads(data)), len(data)))
            except (OSError, ValueError, TypeError) as error:
                log.error("%s is no queued request, and is left there: %s", path, error)
        return found

    def _sync(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
