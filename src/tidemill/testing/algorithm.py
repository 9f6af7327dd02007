"""The laws of algorithms: what must hold of every one of them, said once.

A ``Case`` is an algorithm with a small stream to train on. Each ``check_…`` takes a case and raises
AssertionError when its law is broken; ``CHECKS`` lists them. An algorithm that cannot keep a law
says so in the case's ``exceptions``, with the reason. In a test file::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
    def test_law(check):
        if reason := case.exceptions.get(check.__name__):
            pytest.skip(reason)
        check(case)
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Algorithm, Columns, Declaration, Measure
from tidemill.algorithms.hyperparameters import read
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch, Csr, to_csr
from tidemill.data.cursor import START, Cursor
from tidemill.errors import TidemillError
from tidemill.training.loop import Position, fit


@dataclass(frozen=True, slots=True)
class Stream:
    """Batches in memory as a channel; every pass gives them in the same order."""

    batches: Sequence[Batch]

    def read(self, pass_: int, start: Cursor = START) -> Iterator[tuple[Batch, Cursor]]:
        for at in range(start.offset, len(self.batches)):
            yield self.batches[at], Cursor(offset=at + 1)


@dataclass(frozen=True, slots=True)
class Case:
    """One algorithm, set up, with a stream of dense batches and rows to ask its model about.

    hyperparameters: valid ones, as text · exceptions: law → why this algorithm does not keep it
    tolerance: how far apart two answers may be that should be the same (rounding)
    slack: share of its quality that an algorithm that is not exact may lose when workers share
    its rows · held_out: batches of the validation channel
    """

    declaration: Declaration
    hyperparameters: Mapping[str, str]
    stream: Sequence[Batch]
    probe: Batch
    exceptions: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 1e-4
    slack: float = 0.1
    held_out: Sequence[Batch] = ()

    def algorithm(self) -> Algorithm[Any]:
        """A new one, so that nothing can hide in the object between two runs."""
        declared = self.declaration
        return declared.algorithm(  # type: ignore[no-any-return]
            read(declared.hyperparameters, self.hyperparameters, algorithm=declared.name)
        )

    def fold(self, batches: Sequence[Batch], state: Any = None) -> Any:
        """The state after these batches, the pass still open."""
        algorithm = self.algorithm()
        first = algorithm.start() if state is None else state
        return functools.reduce(algorithm.update, batches, first)

    def trained(self, batches: Sequence[Batch] | None = None, **more: Any) -> Any:
        """The model after all the passes that the algorithm wants."""
        return self.algorithm().finalize(self.learned(batches, **more))

    def learned(self, batches: Sequence[Batch] | None = None, **more: Any) -> Any:
        """The state after all the passes that the algorithm wants."""
        train = Stream(self.stream if batches is None else batches)
        held_out = Stream(self.held_out) if self.held_out else None
        return fit(self.algorithm(), train, held_out=held_out, **more)

    def reopened(self, state: Any, *, leads: bool = True) -> Any:
        """A state that training ended with, from its bytes, as a new training begins with it."""
        return self.algorithm().reopen(self.copied(state), leads=leads)

    def copied(self, state: Any) -> Any:
        """The state again, from its bytes."""
        return from_bytes(type(state), to_bytes(state))

    def closed(self, state: Any) -> Any:
        """The model of an open state, its pass closed first."""
        algorithm = self.algorithm()
        for batch in self.held_out:
            state = algorithm.hold_out(state, batch)
        return algorithm.finalize(algorithm.close_pass(state))

    def same(self, left: Any, right: Any) -> None:
        """Two models answer alike."""
        same_columns(left.predict(self.probe), right.predict(self.probe), self.tolerance)

    def quality(self, model: Any) -> Measure:
        """The first measure of a model on the probe."""
        evaluation = self.algorithm().evaluate(model, self.probe)
        assert evaluation is not None, "an algorithm that is not exact must evaluate its models"
        first: Measure = evaluation.measures()[0]
        return first


Check = Callable[[Case], None]


def same_columns(left: Columns, right: Columns, tolerance: float = 0.0) -> None:
    """Assert equal names, shapes and words, and numbers no further apart than the tolerance."""
    assert list(left) == list(right)
    for name in left:
        if left[name].dtype.kind not in "fiub":
            np.testing.assert_array_equal(left[name], right[name], err_msg=name)
            continue
        np.testing.assert_allclose(
            left[name], right[name], rtol=tolerance, atol=tolerance, err_msg=name
        )


def check_update_leaves_the_batch_alone(case: Case) -> None:
    before = [a.copy() for a in _arrays(case.stream[0])]
    case.fold([case.stream[0], case.stream[0]])
    for was, now in zip(before, _arrays(case.stream[0]), strict=True):
        np.testing.assert_array_equal(was, now)


def check_a_stream_cut_anywhere_merges_to_the_whole(case: Case) -> None:
    whole = case.closed(case.fold(case.stream))
    for merged in _cut_everywhere(case):
        case.same(case.closed(merged), whole)


def check_workers_that_share_the_rows_lose_little(case: Case) -> None:
    whole = case.closed(case.fold(case.stream))
    for merged in _cut_everywhere(case):
        _lose_little(case, case.closed(merged), whole)


def check_workers_that_share_every_pass_lose_little(case: Case) -> None:
    """As a job of two hosts does: they part after each pass and merge at its end."""
    start = case.algorithm().start()
    shared = _learned_by_two(case, case.stream, start, start)
    _lose_little(case, case.algorithm().finalize(shared), case.trained())


def check_reopening_changes_nothing(case: Case) -> None:
    state = case.learned()
    wanted = case.algorithm().finalize(case.copied(state))
    case.same(case.algorithm().finalize(case.reopened(state)), wanted)


def check_going_on_with_new_rows_is_as_good_as_all_at_once(case: Case) -> None:
    old, new = _old_and_new(case)
    before = case.learned(old)
    after = case.trained(new, resume=Position(case.reopened(before)))
    _as_good_as_all(case, after)


def check_workers_going_on_count_what_was_seen_once(case: Case) -> None:
    old, new = _old_and_new(case)
    before = case.learned(old)
    starts = case.reopened(before), case.reopened(before, leads=False)
    after = case.algorithm().finalize(_learned_by_two(case, new, *starts))
    _as_good_as_all(case, after)


def check_batch_size_does_not_matter(case: Case) -> None:
    whole = case.closed(case.fold(case.stream))
    for rows in (1, 7):
        small = [part for batch in case.stream for part in batch.split(rows)]
        case.same(case.closed(case.fold(small)), whole)


def check_killed_anywhere_and_resumed_gives_the_same_bytes(case: Case) -> None:
    wanted = to_bytes(case.trained())
    saved = _Checkpoints()
    case.trained(watcher=saved)
    for kind, blob, pass_, cursor in saved.made:
        resume = Position(from_bytes(kind, blob), pass_, cursor)
        got = to_bytes(case.trained(resume=resume))
        assert got == wanted, f"resumed in pass {pass_} at {cursor}, another model came out"


def check_same_seed_same_bytes(case: Case) -> None:
    assert to_bytes(case.trained()) == to_bytes(case.trained())


def check_an_idle_worker_is_harmless(case: Case) -> None:
    algorithm = case.algorithm()
    wanted = case.closed(case.fold(case.stream))
    for idle_first in (True, False):
        idle = algorithm.merge(
            algorithm.start(), algorithm.update(algorithm.start(), case.probe.rows(0, 0))
        )
        state = case.fold(case.stream)
        merged = algorithm.merge(idle, state) if idle_first else algorithm.merge(state, idle)
        case.same(case.closed(merged), wanted)


def check_an_idle_worker_is_harmless_in_every_pass(case: Case) -> None:
    """A peer that has no rows goes on from the closed state, and changes nothing."""

    def with_idle_peer(state: Any, pass_: int) -> Any:
        algorithm = case.algorithm()
        idle = case.copied(starts.pop())
        return algorithm.merge(state, algorithm.update(idle, case.probe.rows(0, 0)))

    algorithm = case.algorithm()
    starts = [algorithm.start()]

    class Keeper:
        def batch(self, position: Position[Any], rows: int) -> None: ...
        def closed(self, position: Position[Any]) -> None:
            starts.append(case.copied(position.state))

    case.same(case.trained(merge=with_idle_peer, watcher=Keeper()), case.trained())


def check_state_stays_small_as_rows_pass(case: Case) -> None:
    often = case.fold([*case.stream] * 3)
    more = case.fold([*case.stream] * 30)
    small, large = len(to_bytes(often)), len(to_bytes(more))
    assert large <= small * 1.2, f"state grew from {small} to {large} bytes over 10x the rows"


def check_state_stays_small_as_workers_join(case: Case) -> None:
    algorithm = case.algorithm()
    alone = case.fold([*case.stream] * 3)
    joined = functools.reduce(algorithm.merge, [case.copied(alone) for _ in range(8)])
    small, large = len(to_bytes(alone)), len(to_bytes(joined))
    assert large <= small * 1.2, f"state grew from {small} to {large} bytes with 8 workers"


def check_a_batch_without_rows_changes_nothing(case: Case) -> None:
    none = case.probe.rows(0, 0)
    padded = [part for batch in case.stream for part in (none, batch)] + [none]
    case.same(case.closed(case.fold(padded)), case.closed(case.fold(case.stream)))


def check_no_training_rows_say_so_or_give_a_model(case: Case) -> None:
    with contextlib.suppress(TidemillError):
        case.trained([]).predict(case.probe)


def check_sparse_rows_are_the_same_rows(case: Case) -> None:
    sparse = [replace(b, features=to_csr(b.dense())) for b in case.stream]
    model = case.closed(case.fold(case.stream))
    case.same(case.closed(case.fold(sparse)), model)
    probe = replace(case.probe, features=to_csr(case.probe.dense()))
    same_columns(model.predict(probe), model.predict(case.probe), case.tolerance)


def check_a_saved_model_answers_the_same(case: Case) -> None:
    model = case.trained()
    assert type(model) is case.declaration.model
    blob = to_bytes(model)
    again = from_bytes(type(model), blob)
    assert to_bytes(again) == blob
    same_columns(again.predict(case.probe), model.predict(case.probe))


def check_an_answer_does_not_depend_on_the_rows_beside_it(case: Case) -> None:
    model = case.trained()
    whole = model.predict(case.probe)
    for rows in (1, 3):
        parts = [model.predict(part) for part in case.probe.split(rows)]
        joined = {name: np.concatenate([p[name] for p in parts]) for name in whole}
        same_columns(joined, whole, case.tolerance)


def check_no_rows_get_no_answers(case: Case) -> None:
    model = case.trained()
    none, some = model.predict(case.probe.rows(0, 0)), model.predict(case.probe)
    assert list(none) == list(some)
    for name, values in some.items():
        assert none[name].shape == (0, *values.shape[1:])


def check_the_answers_are_the_declared_columns(case: Case) -> None:
    declared, answers = case.declaration.response_columns, case.trained().predict(case.probe)
    assert set(declared) <= set(answers), f"declared {declared}, answered {list(answers)}"
    assert {len(v) for v in answers.values()} == {len(case.probe)}


def check_evaluations_merge_to_the_whole(case: Case) -> None:
    algorithm, model = case.algorithm(), case.trained()
    whole = algorithm.evaluate(model, case.probe)
    if whole is None:
        return
    parts = [algorithm.evaluate(model, part) for part in case.probe.split(11)]
    merged = functools.reduce(lambda left, right: left.merge(right), parts)  # type: ignore[union-attr]
    assert merged is not None
    for got, wanted in zip(merged.measures(), whole.measures(), strict=True):
        assert (got.name, got.kind) == (wanted.name, wanted.kind)
        np.testing.assert_allclose(got.value, wanted.value, rtol=1e-5, err_msg=got.name)


def check_progress_ends_at_one(case: Case) -> None:
    seen: list[float] = []

    class Watch:
        def batch(self, position: Position[Any], rows: int) -> None: ...
        def closed(self, position: Position[Any]) -> None:
            seen.append(case.algorithm().progress(position.state))

    case.trained(watcher=Watch())
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


class _Checkpoints:
    """Keeps the bytes of every state that the loop shows."""

    def __init__(self) -> None:
        self.made: list[tuple[type[Any], bytes, int, Cursor]] = []

    def batch(self, position: Position[Any], rows: int) -> None:
        self.closed(position)

    def closed(self, position: Position[Any]) -> None:
        state = position.state
        self.made.append((type(state), to_bytes(state), position.pass_, position.cursor))


def _lose_little(case: Case, shared: Any, alone: Any) -> None:
    got, wanted = case.quality(shared), case.quality(alone)
    loses = got.value - wanted.value if got.kind == "loss" else wanted.value - got.value
    assert loses <= case.slack * abs(wanted.value), (
        f"{got.name} {got.value} by two workers, {wanted.value} by one"
    )


def _as_good_as_all(case: Case, model: Any) -> None:
    """A model is what training on all rows at once gives, or nearly as good."""
    if case.algorithm().exact:
        case.same(model, case.trained())
    else:
        _lose_little(case, model, case.trained())


def _old_and_new(case: Case) -> tuple[Sequence[Batch], Sequence[Batch]]:
    half = len(case.stream) // 2
    return case.stream[:half], case.stream[half:]


def _learned_by_two(case: Case, batches: Sequence[Batch], first: Any, second: Any) -> Any:
    """The state of two workers that share every pass, begun with these states."""
    algorithm, starts = case.algorithm(), (first, second)
    for _ in range(1000):
        parts = [case.fold(batches[i::2], case.copied(starts[i])) for i in range(2)]
        state = algorithm.merge(*parts)
        for batch in case.held_out:
            state = algorithm.hold_out(state, batch)
        state = algorithm.close_pass(state)
        if not algorithm.wants_another_pass(state):
            return state
        starts = (state, state)
    raise AssertionError("the algorithm never has enough")


def _cut_everywhere(case: Case) -> Iterator[Any]:
    for cut in range(len(case.stream) + 1):
        head, tail = case.fold(case.stream[:cut]), case.fold(case.stream[cut:])
        yield case.algorithm().merge(head, tail)


def _arrays(batch: Batch) -> list[NDArray[Any]]:
    features = batch.features
    stored = (
        [features.indptr, features.indices, features.values]
        if isinstance(features, Csr)
        else [features]
    )
    return [*stored, *(a for a in (batch.labels, batch.weights) if a is not None)]


CHECKS: list[Check] = [fn for name, fn in list(globals().items()) if name.startswith("check_")]
