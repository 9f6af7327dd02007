"""How much serverless endpoints are used: counted here, told to control in a file.

Control reads the file whenever it looks, so whichever of the two dies, the other, or the next one,
finds in it what is asked for. What needs a replica at once is written at once.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from pathlib import Path

from tidemill.spec import serverless as spec
from tidemill.spec.route import Route

WRITE_SECONDS, AGAIN_SECONDS = 1.0, 0.5
PEAK_SECONDS = 15.0

_LOG = logging.getLogger(__name__)
Key = tuple[str, str]


class Demand:
    """Of one endpoint. most: requests that it may have at once, 0 for any number · at: epoch
    seconds when it last had one · told: the same as control knows it · cold: since when a request
    waits for a first replica, by ``time.perf_counter``, or 0 · at_once: the most requests that it
    had at once since control was told
    """

    __slots__ = ("_peaks", "_since", "at", "at_once", "cold", "key", "most", "told")

    def __init__(self, key: Key, told: spec.Demand) -> None:
        self.key = key
        self.most = self.at_once = 0
        self.at = self.told = told.at
        self.cold = 0.0
        self._peaks = [0, told.peak]
        self._since = told.at

    @property
    def peak(self) -> int:
        """The most requests at once, of the last while and the one before it."""
        return max(self._peaks)

    def see(self, at_once: int, now: float) -> None:
        """There are so many requests. now: epoch seconds"""
        if at_once:
            self.at = now
        if now - self._since >= PEAK_SECONDS:
            self._since, self._peaks = now, [0, self._peaks[0]]
        self.at_once = max(self.at_once, at_once)
        if at_once > self._peaks[0]:
            self._peaks[0] = at_once


class Demands:
    """path: of the file (``spec.home.Home.demand``), None to keep none"""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._before = _read(path)
        self._demands: dict[Key, Demand] = {}
        self._written: list[spec.Demand] = []
        self._looked = 0.0

    def __iter__(self) -> Iterator[Demand]:
        return iter(self._demands.values())

    def of(self, route: Route) -> Demand | None:
        """Of an endpoint that has a serverless variant; None for any other."""
        bounds = [variant.max_concurrency for variant in route.variants]
        if not any(bounds):
            return None
        key = (route.region, route.endpoint)
        found = self._demands.get(key)
        if found is None:
            told = self._before.get(key) or spec.Demand(*key)
            found = self._demands[key] = Demand(key, told)
        # Beside instances, to which an update moves the traffic, nothing bounds what may come.
        found.most = max(bounds) if all(bounds) else 0
        return found

    def keep(self, routed: Collection[Key]) -> None:
        """Forget endpoints that no route names any more."""
        self._demands = {key: one for key, one in self._demands.items() if key in routed}

    def is_due(self, now: float) -> bool:
        """Whether it is time to look if anything has changed. now: monotonic seconds"""
        return bool(self._demands) and now - self._looked >= WRITE_SECONDS

    def write(self, now: float) -> None:
        """Tell how all of them stand, if they have changed. now: monotonic seconds"""
        self._looked = now
        if [*self._told()] != self._written:
            self._write()

    def want(self, demand: Demand) -> bool:
        """Tell at once that a request waits for a replica; whether control had to be told."""
        if demand.at - demand.told < AGAIN_SECONDS:
            return False
        self._write()
        return True

    def _told(self) -> Iterator[spec.Demand]:
        for one in self:
            yield spec.Demand(*one.key, one.at, one.peak, one.at_once)

    def _write(self) -> None:
        told = [*self._told()]
        if self._path is not None:
            fresh = self._path.with_name(self._path.name + ".new")
            try:
                fresh.write_text(spec.to_json(told))
                fresh.replace(self._path)
            except OSError as error:  # a full disk, say: tried again with the next request
                _LOG.error("%s stays unwritten: %r", self._path, error)
                return
        self._written = told
        for one in self:
            one.told, one.at_once = one.at, 0


def _read(path: Path | None) -> dict[Key, spec.Demand]:
    """What the router before this one knew; nothing when it cannot be read."""
    try:
        if path is not None:
            return spec.from_json(path.read_text())
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError) as error:
        _LOG.warning("%s cannot be read, demand begins anew: %r", path, error)
    return {}
