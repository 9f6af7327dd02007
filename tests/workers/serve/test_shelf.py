"""A shelf of models: what it keeps, what it answers, and when."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.places import BUCKET, KMEANS, Place
from tidemill import registry
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.artifact.archive import MODEL, pack
from tidemill.artifact.codec import to_bytes
from tidemill.errors import Invalid
from tidemill.spec.frame import REQUEST, Frame
from tidemill.workers.serve.answers import Answer, Answers
from tidemill.workers.serve.ledger import Ledger
from tidemill.workers.serve.refused import Refused, failure
from tidemill.workers.serve.shelf import Bounds, Shelf
from tidemill.workers.serve.storeroom import Opened, Storeroom, Unpacked, canonical
from tidemill.workers.serve.weight import weigh

SIZE = 100


def ask(target: str, body: bytes = b"1,2\n") -> Frame:
    return Frame(REQUEST, 1, 0, f"text/csv\n\n\n{target}".encode(), body)


@dataclass
class Fake:
    """Models of SIZE bytes, or of as many as their names end in, that answer with their names."""

    opened: list[str] = field(default_factory=list)
    unpacked: list[str] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def unpack(self, name: str) -> Unpacked:
        if name == "missing":
            raise Refused(failure(404, name))
        self.unpacked.append(name)
        size = int(name.partition("-")[2] or SIZE)
        return Unpacked(Path(name), size, size)

    def open(self, name: str, files: Unpacked) -> Opened:
        self.opened.append(name)
        if name in self.broken:
            raise ValueError("broken")

        def answers(frames: Sequence[Frame]) -> list[Answer]:
            return [Answer(200, b"", name.encode() + frame.body) for frame in frames]

        return Opened(answers, lambda: files.expected)

    def discard(self, files: Unpacked) -> None:
        self.discarded.append(files.directory.name)


class Bench:
    """A shelf whose background work is done when the test says so."""

    def __init__(
        self,
        path: Path,
        memory: int = 3 * SIZE,
        disk: int = 1 << 30,
        patience: float = 54.0,
        source: Storeroom | None = None,
        *,
        keeps: bool = True,
    ) -> None:
        self.now, self.rings = 0.0, 0
        self.jobs: deque[Callable[[], None]] = deque()
        self.source, self.ledger = Fake(), Ledger(path / "shelf.json", lambda: self.now)
        self.most_memory = 0
        self.shelf = Shelf(
            source or self.source,
            Bounds(memory, disk, patience, keeps),
            self.ledger,
            lambda: self.now,
            self.jobs.append,
            self.ring,
        )

    def ring(self) -> None:
        self.rings += 1

    def work(self, jobs: int = 1000) -> list[tuple[Frame, Answer]]:
        """Do up to so many jobs, each followed by a look."""
        due = self.shelf.later()
        while self.jobs and jobs:
            jobs -= 1
            self.jobs.popleft()()
            due += self.shelf.later()
            self.most_memory = max(self.most_memory, self.shelf.memory)
        return due

    def answer(self, *targets: str) -> list[bytes]:
        """What each is answered with, sooner or later."""
        frames = [ask(target) for target in targets]
        found = dict(zip(map(id, frames), self.shelf(frames), strict=True))
        found.update({id(frame): answer for frame, answer in self.work()})
        answers = [found[id(frame)] for frame in frames]
        assert None not in answers
        return [answer.body for answer in answers if answer is not None]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_model_is_loaded_when_first_asked_for_and_once(bench: Bench) -> None:
    assert bench.answer("a", "b", "a") == [b"a1,2\n", b"b1,2\n", b"a1,2\n"]
    assert bench.answer("a", "b") == [b"a1,2\n", b"b1,2\n"]
    assert (bench.source.unpacked, bench.source.opened) == (["a", "b"], ["a", "b"])
    told = bench.ledger.told()
    assert (told.requests, told.hits, told.models) == (5, 2, 2)
    assert (told.waiting.count, told.loading.count, told.downloading.count) == (3, 2, 2)


def test_what_was_used_longest_ago_is_unloaded_and_comes_back_from_disk(bench: Bench) -> None:
    bench.answer("a", "b", "c")
    bench.answer("a")
    bench.answer("d")
    assert bench.shelf.models == ["c", "a", "d"]
    assert bench.answer("b") == [b"b1,2\n"]
    assert bench.shelf.models == ["a", "d", "b"]
    assert bench.source.unpacked == ["a", "b", "c", "d"]
    assert bench.ledger.told().unloading.count == 2


def test_models_that_are_here_answer_while_others_come(bench: Bench) -> None:
    bench.answer("a")
    [first] = bench.shelf([ask("slow")])
    [second] = bench.shelf([ask("a")])
    assert first is None
    assert second is not None
    assert second.body == b"a1,2\n"


def test_all_who_wait_for_a_model_are_answered_in_the_order_they_came(bench: Bench) -> None:
    frames = [ask("a", b"%d\n" % i) for i in range(50)]
    for frame in frames:
        assert bench.shelf([frame]) == [None]
    due = bench.work()
    assert [id(frame) for frame, _ in due] == [id(frame) for frame in frames]
    assert [answer.body for _, answer in due] == [b"a%d\n" % i for i in range(50)]
    assert bench.rings == 2


def test_an_unloading_does_not_disturb_who_is_answered_meanwhile(tmp_path: Path) -> None:
    bench = Bench(tmp_path, memory=SIZE)
    frames = [ask(name) for name in "abcabcabc"]
    assert bench.shelf(frames) == [None] * 9
    due = bench.work()
    assert sorted(answer.body for _, answer in due) == sorted(b"%c1,2\n" % c for c in b"abc" * 3)
    assert bench.most_memory == SIZE


def test_a_missing_model_is_refused_and_found_once_it_is_there(bench: Bench) -> None:
    assert bench.answer("missing", "a") == [b"missing", b"a1,2\n"]
    bench.source.broken.add("late")
    assert b"ValueError: broken" in bench.answer("late")[0]
    bench.source.broken.clear()
    assert bench.answer("late") == [b"late1,2\n"]


def test_a_model_that_no_unloading_makes_room_for_is_refused_and_others_stay(bench: Bench) -> None:
    bench.answer("a", "b")
    assert b"does not fit" in bench.answer("large-301")[0]
    assert bench.shelf.models == ["a", "b"]
    assert bench.answer("large-300") == [b"large-3001,2\n"]
    assert bench.shelf.models == ["large-300"]


def test_unpacked_models_are_removed_from_a_full_disk_idle_ones_first(tmp_path: Path) -> None:
    bench = Bench(tmp_path, memory=2 * SIZE, disk=3 * SIZE)
    for name in "abcd":
        bench.answer(name)
    assert bench.source.discarded == ["a"]
    bench.answer("a")
    assert bench.source.discarded == ["a", "b"]
    assert bench.shelf.disk == 3 * SIZE


def test_a_model_that_is_not_to_be_kept_goes_once_it_has_answered(tmp_path: Path) -> None:
    bench = Bench(tmp_path, keeps=False)
    assert bench.answer("a", "a") == [b"a1,2\n"] * 2
    assert (bench.shelf.models, bench.shelf.memory, bench.shelf.disk) == ([], 0, 0)
    assert bench.answer("a") == [b"a1,2\n"]
    assert bench.source.unpacked == ["a", "a"]


def test_who_has_waited_too_long_is_told_and_the_loading_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, patience=60.0)
    bench.shelf([ask("a")])
    bench.now = 59.0
    bench.shelf([ask("a", b"second")])
    assert bench.shelf.later() == []
    bench.now = 61.0
    [(_, answer)] = bench.shelf.later()
    assert answer.status == 429
    assert answer.head.endswith(b"\nModelNotReadyException")
    [(frame, answer)] = bench.work()
    assert (frame.body, answer.body) == (b"second", b"asecond")
    assert bench.shelf([ask("a")])[0] is not None


def test_so_many_may_wait_and_no_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.workers.serve.shelf.MOST_WAITING", 3)
    answers = [bench.shelf([ask("a")])[0] for _ in range(4)]
    assert answers[:3] == [None] * 3
    assert answers[3] is not None
    assert answers[3].status == 503
    bench.work()
    assert bench.shelf([ask("b")]) == [None]


@given(
    asked=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3)), max_size=60),
    memory=st.integers(1, 5),
    disk=st.integers(3, 6),
)
def test_bounds_are_kept_and_everyone_is_answered(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, int]], memory: int, disk: int
) -> None:
    bench = Bench(tmp_path_factory.getbasetemp(), memory=memory * SIZE, disk=disk * SIZE)
    frames = [ask(name) for name, _ in asked]
    answered: dict[int, Answer | None] = {}
    for frame, (_, jobs) in zip(frames, asked, strict=True):
        [answer] = bench.shelf([frame])
        due: Iterable[tuple[Frame, Answer]] = bench.work(jobs)
        answered.update([(id(frame), answer)] if answer is not None else [])
        answered.update({id(one): answer for one, answer in due})
    answered.update({id(one): answer for one, answer in bench.work()})
    for frame, (name, _) in zip(frames, asked, strict=True):
        answer = answered[id(frame)]
        assert answer is not None
        assert answer.body == name.encode() + b"1,2\n"
    assert bench.most_memory <= memory * SIZE
    assert bench.shelf.disk <= disk * SIZE
    assert bench.shelf.memory == SIZE * len(bench.shelf.models)


def test_counts_go_on_where_the_process_before_ended(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.answer("a", "b")
    bench.now = 2.0
    bench.shelf.later()
    again = Bench(tmp_path)
    again.answer("a")
    told = again.ledger.told()
    assert (told.requests, told.models, told.loading.count) == (3, 1, 3)
    assert told.life == bench.ledger.told().life


# Real models


def put_models(place: Place, count: int) -> dict[str, KMeansModel]:
    dice = np.random.default_rng(7)
    models = {
        f"nl/m{i}.tar.gz": KMeansModel(dice.normal(size=(3, 2)).astype(np.float32))
        for i in range(count)
    }
    for name, model in models.items():
        place.put(f"models/{name}", pack("kmeans", {}, {MODEL: to_bytes(model)}))
    return models


def test_many_models_answer_as_each_would_alone(tmp_path: Path) -> None:
    place = Place(tmp_path)
    models = put_models(place, 30)
    source = Storeroom(place.buckets, f"s3://{BUCKET}/models", KMEANS, tmp_path / "m", print)
    bench = Bench(tmp_path, memory=20_000, source=source)
    dice = random.Random(3)
    for _ in range(5):
        frames = [ask(dice.choice(sorted(models)), b"%d,%d\n3,4\n" % (i, -i)) for i in range(40)]
        now = dict(zip(map(id, frames), bench.shelf(frames), strict=True))
        now.update({id(frame): answer for frame, answer in bench.work()})
        for frame in frames:
            alone = Answers(models[frame.target], registry.declaration(KMEANS))
            assert [now[id(frame)]] == alone([frame])
    assert bench.most_memory <= 20_000
    assert 0 < len(bench.shelf.models) < 30
    assert bench.ledger.told().unloading.count > 0


def test_what_can_not_be_had_is_refused_by_its_reason(tmp_path: Path) -> None:
    place = Place(tmp_path)
    put_models(place, 1)
    place.put("models/bad.tar.gz", b"no archive")
    place.put("models/other.tar.gz", pack("pca", {}, {MODEL: b""}))
    place.put("secret.tar.gz", b"")
    source = Storeroom(place.buckets, f"s3://{BUCKET}/models/", KMEANS, tmp_path / "m", print)
    with pytest.raises(Refused, match=r"Failed to download model data\(bucket: mill, key: models/"):
        source.unpack("none.tar.gz")
    with pytest.raises(Refused, match="Failed to extract model data archive"):
        source.unpack("bad.tar.gz")
    with pytest.raises(Refused, match="does not load: .*one of pca"):
        source.open("other.tar.gz", source.unpack("other.tar.gz"))
    assert len(list((tmp_path / "m").iterdir())) == 1


@pytest.mark.parametrize("target", ["", "/", "../secret.tar.gz", "a//b", "a/./b", "//a", "a/.."])
def test_names_stay_below_the_prefix(bench: Bench, target: str) -> None:
    with pytest.raises(Invalid):
        canonical(target)
    [answer] = bench.shelf([ask(target)])
    assert answer is not None
    assert answer.head.endswith(b"\nValidationError")
    assert not bench.jobs


def test_the_weight_of_a_model_is_that_of_its_arrays_each_once() -> None:
    table = np.zeros((1000, 25))
    model = KMeansModel(table)  # type: ignore[arg-type]
    alone = weigh(model)
    assert table.nbytes < alone < table.nbytes + 8192
    assert weigh([model, model, table[:3], {"a": (table,)}]) < alone + 2048
