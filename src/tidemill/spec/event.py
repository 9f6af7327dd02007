"""What a worker tells the control plane: one JSON line an event, in ``WorkerHome.events``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Literal

Kind = Literal["status", "metric", "progress", "ready", "note"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    time: epoch seconds · kind: see below · name, value, message: by kind

    ====================  =====================================================================
    ``status``            name = a SecondaryStatus (Downloading, Training, Uploading), message
    ``metric``            name = a metric definition's name (``test:msd``), value = number
    ``progress``          value = fraction done (0..1), message = text for the progress line
    ``ready``             a replica listens; message = its address (``unix:/…`` or ``tcp:h:p``)
    ``note``              message only; name may hold a key (``artifact`` → its S3 URI,
                          ``message/algo-1`` → the ExitMessage of a host)
    ====================  =====================================================================
    """

    time: float
    kind: Kind
    name: str = ""
    value: float | None = None
    message: str = ""

    def to_line(self) -> str:
        return json.dumps({k: v for k, v in asdict(self).items() if v not in ("", None)}) + "\n"


def from_line(line: str) -> Event:
    """Read one line; unknown keys are left out, so that old control planes read new workers.

    >>> from_line('{"time": 1.0, "kind": "metric", "name": "test:msd", "value": 2.5}').value
    2.5
    """
    known = {f.name for f in fields(Event)}
    return Event(**{k: v for k, v in json.loads(line).items() if k in known})


def read(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events among lines; what a worker that was killed had written by half is left out.

    >>> [event.kind for event in read([b'{"time": 1.0, "ki', b'{"time": 1.0, "kind": "note"}'])]
    ['note']
    """
    for line in lines:
        try:
            event = from_line(line.decode())
        except (ValueError, TypeError, AttributeError):
            continue
        yield event
