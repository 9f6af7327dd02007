"""Feature records in SQLite: the newest wins in any order, and nothing waits twice or is lost."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.errors import Conflict, NotFound, NotReady
from tidemill.store.features import FeatureRecords, Kept, Write

NOW = 1_000
PARTS = itertools.count(1)
WRITER = """
import itertools, sys
from pathlib import Path
from tidemill.store.features import FeatureRecords, Kept, Write
records = FeatureRecords(Path(sys.argv[1]))
for number in itertools.count():
    kept = Kept(str(number % 7), number, None, False, str(number).encode())
    records.put([Write(1, kept, True, True)], number)
    print(number, flush=True)
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureRecords]:
    found = FeatureRecords(tmp_path_factory.mktemp("features") / "features.db", sync=False)
    yield found
    found.close()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[FeatureRecords]:
    found = FeatureRecords(tmp_path / "features.db", sync=False)
    yield found
    found.close()


def write(
    who: str = "ada",
    event: int = 1,
    *,
    part: int = 1,
    expires: int | None = None,
    deleted: bool = False,
    offline: bool = True,
) -> Write:
    kept = Kept(who, event, expires, deleted, f"{who} {event}".encode())
    return Write(part, kept, online=True, offline=offline)


EVENTS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.booleans()), min_size=1, max_size=20
)


@settings(deadline=None)
@given(EVENTS)
def test_the_newest_event_of_each_is_kept_and_all_are_spooled(
    shared: FeatureRecords, events: list[tuple[str, int, bool]]
) -> None:
    records, part = shared, next(PARTS)
    wanted: dict[str, Kept] = {}
    for who, event, deleted in events:
        one = write(who, event, part=part, deleted=deleted)
        records.put([one], NOW)
        known = wanted.get(who)
        if known is None or event > known.event or (event == known.event and not deleted):
            wanted[who] = one.record
    assert {who: records.get(part, who, NOW) for who in wanted} == wanted
    load = records.load(part, NOW, rows=100, size=1 << 20)
    assert load is not None
    spooled = [(s.body, s.event, s.deleted) for s in records.spooled(load)]
    assert spooled == [(f"{who} {event}".encode(), event, gone) for who, event, gone in events]


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=12),
)
def test_loads_tell_each_record_once_however_often_they_are_cut_short(
    tmp_path_factory: pytest.TempPathFactory, puts: list[int], loads: list[tuple[int, bool]]
) -> None:
    """puts: how many records come before each load · loads: rows at most, whether it is done"""
    path = tmp_path_factory.mktemp("features") / "features.db"
    records, sent, told = FeatureRecords(path, sync=False), 0, list[int]()
    begun = None
    for turn, (rows, is_done) in enumerate([*loads, *[(100, True)] * 2]):
        for _ in range(puts[turn] if turn < len(puts) else 0):
            records.put([write(event=sent)], NOW)
            sent += 1
        load = records.load(1, NOW + turn, rows=rows, size=1 << 20)
        if load is None:
            continue
        assert begun in (None, load), "a load that was cut short is the same again"
        events = [one.event for one in records.spooled(load)]
        if is_done:
            records.loaded(load)
            told += events
        begun = None if is_done else load
        records.close()
        records = FeatureRecords(path, sync=False)
    while (load := records.load(1, NOW, rows=100, size=1 << 20)) is not None:
        told += [one.event for one in records.spooled(load)]
        records.loaded(load)
    assert told == list(range(sent))
    records.close()


def test_a_load_ends_before_it_grows_too_large(records: FeatureRecords) -> None:
    for event in range(10):
        records.put([write(event=event)], NOW)
    load = records.load(1, NOW, rows=100, size=12)
    assert load is not None
    assert len(records.spooled(load)) == 2  # of five bytes each
    records.loaded(load)
    one = records.load(1, NOW, rows=100, size=1)
    assert one is not None
    assert len(records.spooled(one)) == 1


def test_what_waits_is_told_by_group_with_the_age_of_the_oldest(records: FeatureRecords) -> None:
    assert records.waiting() == []
    for part, at in ((1, 10), (2, 20), (1, 30)):
        records.put([write(part=part)], at)
    assert [(w.part, w.rows, w.oldest) for w in records.waiting()] == [(1, 2, 10), (2, 1, 20)]


def test_what_has_expired_is_not_told_and_gives_way_to_older_events(
    records: FeatureRecords,
) -> None:
    records.put([write(event=5, expires=NOW)], NOW - 1)
    assert records.get(1, "ada", NOW - 1) is not None
    assert records.get(1, "ada", NOW) is None
    records.put([write(event=3)], NOW)
    kept = records.get(1, "ada", NOW)
    assert kept is not None
    assert kept.event == 3


def test_what_has_expired_is_removed(records: FeatureRecords) -> None:
    numbers = range(2_500)
    records.put([write(str(n), expires=NOW + n % 2, offline=False) for n in numbers], 0)
    records.expire(NOW)
    assert len(records.identifiers(1, None, 5_000, 0)) == 1_250


def test_only_an_older_record_is_removed_for_good(records: FeatureRecords) -> None:
    records.put([write(event=5)], NOW)
    with pytest.raises(Conflict):
        records.remove(write(event=5, deleted=True), NOW)
    records.remove(write(event=6, deleted=True), NOW)
    assert records.get(1, "ada", NOW) is None
    assert records.waiting()[0].rows == 2  # what was refused is not told offline


def test_a_closed_group_takes_nothing_and_leaves_the_others_alone(records: FeatureRecords) -> None:
    records.put([write(), write(part=2)], NOW)
    records.close_part(1)
    with pytest.raises(NotFound):
        records.put([write(part=2, event=9), write()], NOW)
    records.erase(1)
    assert records.get(1, "ada", NOW) is None
    kept = records.get(2, "ada", NOW)
    assert kept is not None
    assert kept.event == 1, "all or none"


def test_one_that_fails_does_not_fail_those_beside_it(records: FeatureRecords) -> None:
    records.close_part(2)
    failed: list[int] = []

    def work(number: int) -> None:
        for event in range(20):
            try:
                records.put([write(str(number), event, part=1 + number % 2)], NOW)
            except NotFound:
                failed.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(failed)) == [1, 3, 5, 7]
    assert len(failed) == 80
    for number in (0, 2, 4, 6):
        kept = records.get(1, str(number), NOW)
        assert kept is not None
        assert kept.event == 19


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    records = FeatureRecords(tmp_path / "features.db", sync=False)
    records.close()
    with pytest.raises(NotReady):
        records.put([write()], NOW)


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "features.db").write_bytes(b"no database " * 100)
    with pytest.raises(NotReady):
        FeatureRecords(tmp_path / "features.db")


@pytest.mark.serial
def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "features.db"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(100):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().split()
    last = int(rest[-1]) if rest else 99
    records = FeatureRecords(path)
    load = records.load(1, NOW, rows=100_000, size=1 << 30)
    assert load is not None
    events = [one.event for one in records.spooled(load)]
    assert events in (list(range(last + 1)), list(range(last + 2)))
    kept = records.get(1, str(last % 7), NOW)
    assert kept is not None
    assert kept.event == last
    records.close()
