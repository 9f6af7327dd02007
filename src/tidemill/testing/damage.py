"""The law of damaged artifacts: what an upload holds is refused or answered, and never crashes.

A model.tar.gz is anything that somebody uploaded, and C reads its arrays by index. ``damaged`` has
many ways in which the bytes of a good model or state may be wrong; ``survives`` does with each what
a replica or a training would, in bounded time and memory, and tells what came of it other than an
answer or one of Tidemill's own errors. Runs on Linux, which tells how much memory is in use.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import to_csr
from tidemill.errors import TidemillError
from tidemill.testing.algorithm import Case, Stream
from tidemill.training.loop import Position, fit

Arrays = dict[str, NDArray[Any]]
Make = Callable[[], bytes]
SECONDS, BYTES = 10.0, 2 << 30
"""Of processor time, and of memory more than before: what a small artifact may cost."""
_ARRAY = "$array"
_WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3, 2**31 - 1, 2**40, -(2**63), 2**62, 2**70, 0.5, 1e308, float("nan"),
    float("inf"), -1e30, "", "x", "multi:softprob", [], [1], {}, {"x": 1}, {"$mapping": {"x": "y"}},
)  # fmt: skip
_KINDS: tuple[Any, ...] = (np.float32, np.float64, np.int32, np.int64, np.uint8, np.float16)


def damaged(blob: bytes) -> Iterator[tuple[str, Make]]:
    """What is done, and what gives the bytes that come of it. blob: of ``codec.to_bytes``"""
    header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
    skeleton, arrays = json.loads(header["__metadata__"]["skeleton"]), load(blob)
    for name, array in arrays.items():
        for what, wrong in _arrays(array):
            yield f"{name} {what}", partial(_saved, skeleton, {**arrays, name: wrong})
        rest = {other: a for other, a in arrays.items() if other != name}
        yield f"{name} left out", partial(_saved, skeleton, rest)
        for other in list(rest)[:1]:
            swapped = {**arrays, name: arrays[other]}
            yield f"{name} as {other}", partial(_saved, skeleton, swapped)
    for place, what, part in _skeletons(skeleton):
        yield f"{place} {what}", partial(_saved, part, arrays)
    for what, other_blob in _bytes(blob):
        yield what, partial(bytes, other_blob)


def survives(kind: str, case: Case, blob: bytes) -> str | None:
    """What went wrong with a blob in place of a model or a state; None for nothing."""
    use = answers if kind == "model" else goes_on
    try:
        with _bounds():
            use(case, blob)
    except TidemillError:
        return None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def answers(case: Case, blob: bytes) -> None:
    """As a replica does with a model: for few rows and for many, dense and sparse."""
    probe = case.probe
    model = from_bytes(case.declaration.model, blob)
    for batch in (probe.rows(0, 0), probe.rows(0, 2), probe):
        for name, values in model.predict(batch).items():
            assert len(values) == len(batch), f"{len(values)} of {name} for {len(batch)} rows"
    model.predict(_sparse(probe))
    if case.declaration.exports is not None:
        case.declaration.exports(model)


def goes_on(case: Case, blob: bytes) -> None:
    """As a training does with the state of an earlier one: alone, with rows, and by two workers.

    Each begins anew from the bytes, and all are made, whatever becomes of those before.
    """
    errors = []
    for way in (_without_rows, _with_rows, _by_two):
        try:
            way(case, blob)
        except TidemillError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def check_a_damaged_artifact_is_refused_or_answers(case: Case, share: int = 1) -> None:
    """The law. share: one in so many of the ways to be damaged, always the same ones, is tried"""
    state = case.learned()
    kinds = {"model": case.algorithm().finalize(case.copied(state)), "state": state}
    wrong = [
        f"{kind} {name}: {found}"
        for kind, value in kinds.items()
        for name, make in damaged(to_bytes(value))
        if zlib.crc32(f"{kind} {name}".encode()) % share == 0
        and (found := survives(kind, case, make()))
    ]
    assert not wrong, "\n".join(wrong)


def _without_rows(case: Case, blob: bytes) -> None:
    model = case.algorithm().finalize(_begun(case, blob))
    model.predict(case.probe)


def _with_rows(case: Case, blob: bytes) -> None:
    algorithm = case.algorithm()
    held_out = Stream(case.held_out) if case.held_out else None
    state = fit(
        algorithm,
        Stream(case.stream[:2]),
        held_out=held_out,
        resume=Position(algorithm.reopen(_read(case, blob))),
    )
    algorithm.finalize(state).predict(case.probe)


def _by_two(case: Case, blob: bytes) -> None:
    algorithm = case.algorithm()
    parts = [
        algorithm.update(_begun(case, blob, leads=at == 0), batch)
        for at, batch in enumerate(case.stream[:2])
    ]
    state = algorithm.close_pass(algorithm.merge(*parts))
    algorithm.finalize(state).predict(case.probe)


def _begun(case: Case, blob: bytes, leads: bool = True) -> Any:
    return case.algorithm().reopen(_read(case, blob), leads=leads)


def _read(case: Case, blob: bytes) -> Any:
    return from_bytes(type(case.algorithm().start()), blob)


def _sparse(batch: Any) -> Any:
    return replace(batch, features=to_csr(batch.dense()))


def _saved(skeleton: Any, arrays: Arrays) -> bytes:
    whole = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
    return save(whole, {"skeleton": json.dumps(skeleton)})


def _arrays(array: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Arrays of another type, another shape, with other numbers."""
    draws = np.random.default_rng(3)
    for kind in _KINDS:
        if array.dtype != kind:
            with np.errstate(all="ignore"):
                yield f"as {np.dtype(kind)}", array.astype(kind)
    yield "flat", array.reshape(-1)
    yield "with an axis more", array[None]
    yield "with an axis more at the end", array[..., None]
    yield "turned", array.T.copy()
    yield "as one number", np.zeros((), array.dtype)
    for axis in range(array.ndim):
        shape = [2**40 if at == axis else 0 for at in range(max(2, array.ndim))]
        yield f"empty, but {2**40} of axis {axis}", np.empty(shape, array.dtype)
        for what, length in (("none", 0), ("one", 1), ("one less", array.shape[axis] - 1)):
            kept = np.arange(max(0, min(length, array.shape[axis])))
            yield f"{what} of axis {axis}", array.take(kept, axis)
        yield f"axis {axis} twice", np.concatenate([array, array], axis)
        yield f"axis {axis} backwards", np.flip(array, axis)
        yield f"axis {axis} shuffled", draws.permutation(array, axis)
    for number in _numbers(array.dtype):
        yield f"all {number}", np.full_like(array, number)
        for at in {0, array.size // 2, array.size - 1} if array.size else ():
            one = array.copy()
            one.reshape(-1)[at] = number
            yield f"{number} at {at}", one
    drawn = draws.integers(0, max(2, len(array) if array.ndim else 2), array.shape)
    yield "drawn", drawn.astype(array.dtype)


def _numbers(kind: np.dtype[Any]) -> list[Any]:
    if kind.kind == "f":
        return [0, -1, 1e30, np.nan, np.inf, -np.inf, np.finfo(kind).tiny]
    if kind.kind == "b":
        return [False, True]
    limits = np.iinfo(kind)
    return sorted({0, 1, 7, int(limits.min), int(limits.max), int(limits.max) // 2 + 1, -1 % 256})


def _skeletons(part: Any, place: str = "") -> Iterator[tuple[str, str, Any]]:
    """The skeleton with something else in each of its places."""
    for other in _WRONG:
        if json.dumps(other) != json.dumps(part):
            yield place, f"is {other!r}", other
    if isinstance(part, dict) and _ARRAY not in part:
        yield place, "has a field more", {**part, "more": 1}
        for name, inner in part.items():
            yield f"{place}.{name}", "missing", {n: p for n, p in part.items() if n != name}
            for at, what, wrong in _skeletons(inner, f"{place}.{name}"):
                yield at, what, {**part, name: wrong}
    if isinstance(part, list):
        yield place, "twice", part + part
        yield place, "one less", part[:-1]
        for index, inner in enumerate(part):
            for at, what, wrong in _skeletons(inner, f"{place}.{index}"):
                yield at, what, [*part[:index], wrong, *part[index + 1 :]]


def _bytes(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Bytes that lie about themselves."""
    for length in (0, 1, 7, 8, 100, len(blob) // 2, len(blob) - 1):
        yield f"first {length} bytes", blob[:length]
    for size in (0, 1, 2**31, 2**63, 2**64 - 1):
        yield f"a header of {size} bytes", size.to_bytes(8, "little") + blob[8:]
    deep: Any = "[" * 100_000 + "]" * 100_000
    yield "deep", save({}, {"skeleton": deep})
    yield "deep objects", save({}, {"skeleton": '{"a":' * 100_000 + "1" + "}" * 100_000})
    yield "no skeleton", save({"x": np.zeros(1)}, {})
    yield "more after it", blob + b"more"
    draws = np.random.default_rng(4)
    for at in draws.integers(0, len(blob), 40).tolist():
        yield f"byte {at} turned", blob[:at] + bytes([blob[at] ^ 0x55]) + blob[at + 1 :]


@contextlib.contextmanager
def _bounds() -> Iterator[None]:
    """Within these time and memory have an end: TimeoutError, MemoryError."""

    def late(*_: Any) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, late)
    resource.setrlimit(resource.RLIMIT_AS, (_used() + BYTES, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)


def _used() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
