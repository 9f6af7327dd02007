"""The one replica's process that makes versions: of the version before, and what was told since.

What a version is made of is written down before anything is computed, so whoever is killed and
comes back, or takes over, makes the same version to the last bit. Feedback counts once: a version
says how far it has read each log, and appears in one step.
"""

from __future__ import annotations

import fcntl
import json
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from tidemill.artifact import archive
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch
from tidemill.errors import TidemillError
from tidemill.training.together import go_on
from tidemill.workers.home import write_json
from tidemill.workers.serve.learning import log, progress, rows
from tidemill.workers.serve.learning.opened import Opened
from tidemill.workers.serve.learning.places import Places
from tidemill.workers.serve.learning.version import About, Versions

MOST_BYTES, MOST_OF_LOG = 64 << 20, 16 << 20
"""Of feedback that one version takes in; what is beyond waits for the next one."""
RECENT, RECENT_LOGS, AGAIN = 1024, 64, 4096
"""Ids that are remembered: of a log's last records (as many as a replica may owe answers for when
it ends), of so many logs, and of feedback that was sent again."""
ORIGINAL, CURRENT = "original.safetensors", "current.safetensors"

Publish = Callable[[int, Mapping[str, bytes]], None]


@dataclass(frozen=True, slots=True)
class Part:
    """Of a log, from one offset to another."""

    log: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a version is made of. gone: logs that are no more, of which nothing need be known"""

    version: int
    parts: Sequence[Part]
    gone: Sequence[str]


@dataclass(frozen=True, slots=True)
class Learned:
    """A state, the model made of it, and the parts that it took in."""

    state: Any
    model: Any
    parts: Sequence[Batch]


class Leader:
    """``round`` it again and again.

    publish: given every version's artifact before it appears · half_life: in rows, or 0
    """

    def __init__(
        self,
        opened: Opened,
        places: Places,
        publish: Publish,
        complain: Callable[[str], None] = print,
        half_life: float = 0.0,
    ) -> None:
        self._opened, self._places, self._half_life = opened, places, half_life
        self._publish, self._complain = publish, complain
        self._versions = Versions(places.versions)
        self._about = About()
        self._state, self._model = opened.state, opened.model
        newest = self._versions.newest()
        if newest:
            self._about = self._versions.about(newest)
            state = self._versions.read(newest, archive.STATE)
            model = self._versions.read(newest, archive.MODEL)
            self._state = from_bytes(type(opened.state), state)
            self._model = from_bytes(opened.declaration.model, model)

    @property
    def version(self) -> int:
        """The number of the newest."""
        return self._about.number

    def round(self) -> bool:
        """Make a version of what has been told since the last one; whether there was anything."""
        plan = self._planned() or self._planned_now()
        if plan is not None:
            self._make(plan)
        self._tidy()
        return plan is not None

    # What goes into a version

    def _planned(self) -> Plan | None:
        """What one who was killed had begun to make a version of."""
        try:
            document = json.loads(self._places.plan.read_text())
        except FileNotFoundError:
            return None
        plan = Plan(document["version"], [Part(**p) for p in document["parts"]], document["gone"])
        return plan if plan.version == self.version + 1 else None

    def _planned_now(self) -> Plan | None:
        """All that has been told since, as far as the bounds go; None where nothing has."""
        names = log.names(self._places.logs)
        parts, left = [], MOST_BYTES
        for name in names:
            part = self._part(name, min(left, MOST_OF_LOG)) if left > 0 else None
            if part is not None:
                parts.append(part)
                left -= part.end - part.start
        if not parts:
            return None
        plan = Plan(self.version + 1, parts, sorted(self._about.absorbed.keys() - set(names)))
        write_json(self._places.plan, asdict(plan))
        return plan

    def _part(self, name: str, most: int) -> Part | None:
        start = end = self._about.absorbed.get(name, 0)
        for record in log.read(log.path_of(self._places.logs, name), start, most):
            end = record.end
        return Part(name, start, end) if end > start else None

    # Making it

    def _make(self, plan: Plan) -> None:
        ids = _Ids(self._about)
        read = [self._read(part, ids) for part in plan.parts]
        parts = [part for part in read if part is not None]
        learned, reason = self._learned(parts)
        count = sum(map(len, learned.parts))
        about = replace(
            self._about,
            number=plan.version,
            rows=self._about.rows + count,
            refused=self._about.refused + sum(map(len, parts)) - count,
            reason=reason or self._about.reason,
            absorbed=self._absorbed(plan),
            recent=ids.recent(),
            again=ids.again(),
        )
        files = {
            archive.MODEL: to_bytes(learned.model),
            archive.STATE: to_bytes(learned.state),
        }
        about, evidence = self._validated(about, learned.parts)
        self._publish(about.number, files)
        self._versions.write(about, {**files, **evidence})
        self._about, self._state, self._model = about, learned.state, learned.model
        self._complain(f"Version {about.number} has learned from {count} rows")

    def _absorbed(self, plan: Plan) -> Mapping[str, int]:
        before = self._about.absorbed.items()
        kept = {name: end for name, end in before if name not in plan.gone}
        return {**kept, **{part.log: part.end for part in plan.parts}}

    def _read(self, part: Part, ids: _Ids) -> Batch | None:
        """The rows of a part that no version has taken in."""
        path = log.path_of(self._places.logs, part.log)
        records = log.read(path, part.start, part.end - part.start)
        fresh = [one.rows for one in records if ids.is_new(part.log, one)]
        return rows.joined(fresh) if fresh else None

    def _learned(self, parts: Sequence[Batch]) -> tuple[Learned, str]:
        """What comes of all parts; else of those that can be learned from, and why not of all."""
        good, reason = list(parts), ""
        if good:
            try:
                return self._attempt(good), ""
            except Exception as error:
                reason = self._why(error)
        if len(good) > 1:
            good = [part for part in good if self._is_sound(part)]
            with suppress(Exception):
                return self._attempt(good), reason
        return Learned(self._state, self._model, []), reason

    def _attempt(self, parts: Sequence[Batch]) -> Learned:
        algorithm = self._opened.algorithm
        state = go_on(algorithm, self._state, parts, self._half_life)
        model = algorithm.finalize(state)
        progress.tested(algorithm, model, parts)  # one that fails on these rows is not served
        return Learned(state, model, parts)

    def _is_sound(self, part: Batch) -> bool:
        try:
            self._attempt([part])
        except Exception:
            return False
        return True

    def _why(self, error: Exception) -> str:
        if not isinstance(error, TidemillError):
            self._complain("".join(traceback.format_exception(error)))
        return str(error)[:1024]

    def _validated(self, about: About, parts: Sequence[Batch]) -> tuple[About, Mapping[str, bytes]]:
        """With what the models, the original and the current one, made of rows new to them."""
        if not parts:
            return about, self._evidence()
        algorithm, before = self._opened.algorithm, self._evidence()
        original = progress.tested(algorithm, self._opened.model, parts)
        current = progress.tested(algorithm, self._model, parts)
        first, of_original = progress.added(before.get(ORIGINAL), original)
        second, of_current = progress.added(before.get(CURRENT), current)
        latest = {
            "original": progress.measures(original),
            "current": progress.measures(current),
        }
        about = replace(about, original=of_original, current=of_current, latest=latest)
        return about, {ORIGINAL: first, CURRENT: second}

    def _evidence(self) -> Mapping[str, bytes]:
        """That of all versions before."""
        if not self._about.rows:
            return {}
        return {name: self._versions.read(self.version, name) for name in (ORIGINAL, CURRENT)}

    # What is done with

    def _tidy(self) -> None:
        """Remove the logs that are learned and that nobody writes any more."""
        for name in log.names(self._places.logs):
            path = log.path_of(self._places.logs, name)
            file = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The end may be part of a record, which nobody was told of.
                end = self._about.absorbed.get(name, 0)
                if next(log.read(path, end, 1), None) is None:
                    path.unlink()
            except BlockingIOError:
                pass
            finally:
                os.close(file)


class _Ids:
    """Which feedback has been counted: replicas that end before they answer may leave it to
    another one, too."""

    def __init__(self, about: About) -> None:
        self._logs = {name: dict.fromkeys(ids) for name, ids in about.recent.items()}
        self._again = dict.fromkeys(about.again)
        self._known = {id for ids in about.recent.values() for id in ids}

    def is_new(self, name: str, record: log.Record) -> bool:
        """Whether to count it; it is remembered."""
        known = record.id in self._again or (record.again and record.id in self._known)
        if record.again:
            self._again[record.id] = None
        self._known.add(record.id)
        # Logs stand in the order in which they were last added to.
        ids = self._logs.pop(name, {})
        ids[record.id] = None
        self._logs[name] = ids
        return not known

    def recent(self) -> dict[str, list[int]]:
        logs = list(self._logs.items())[-RECENT_LOGS:]
        return {name: list(ids)[-RECENT:] for name, ids in logs}

    def again(self) -> list[int]:
        return list(self._again)[-AGAIN:]
