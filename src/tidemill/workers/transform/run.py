"""One host's part of a transform job: its objects, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tidemill.errors import TidemillError
from tidemill.spec.transform_job import TransformJob
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets
from tidemill.workers.home import Desk
from tidemill.workers.inputs.objects import Found
from tidemill.workers.transform.exchange import Exchange
from tidemill.workers.transform.objects import Done, read

_FLUSH = 1 << 18


class Stopped(Exception):
    """The job is to end before its objects do."""


@dataclass(frozen=True, slots=True)
class Run:
    """wants_to_stop: true once SIGTERM came"""

    job: TransformJob
    buckets: Buckets
    exchange: Exchange
    done: Done
    desk: Desk
    wants_to_stop: Callable[[], bool]

    def all(self, share: Sequence[Found]) -> list[str]:
        """Give each object of the share its output; what was wrong with those that have none.

        Raises Stopped, and whatever is no object's fault.
        """
        wrong = []
        for number, found in enumerate(share, 1):
            if found not in self.done:
                try:
                    self._one(found)
                except TidemillError as error:
                    wrong.append(f"s3://{found.bucket}/{found.key}: {error}")
                    print(wrong[-1], flush=True)
                else:
                    self.done.add(found)
            self.desk.progress(number / len(share), f"{number} of {len(share)} objects")
        return wrong

    def _one(self, found: Found) -> None:
        # Seen whole or not at all: until the last record is answered nobody sees any of it.
        bucket, prefix = uri.parse(self.job.output_uri)
        key = f"{prefix.rstrip('/')}/{found.name}.out".removeprefix("/")
        with self.buckets.draft() as draft:
            for piece in self._pieces(found):
                draft.write(piece)
            self.buckets.commit(draft, bucket, key)

    def _pieces(self, found: Found) -> Iterator[bytes]:
        """The output in pieces that are worth a write."""
        waiting: list[bytes] = []
        size = 0
        for text in self.exchange.run(read(self.buckets, found, self.job.compression)):
            if self.wants_to_stop():
                raise Stopped
            waiting.append(text)
            size += len(text)
            if size >= _FLUSH:
                yield b"".join(waiting)
                waiting, size = [], 0
        yield b"".join(waiting)
