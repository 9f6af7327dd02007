"""A real FIFO: what is fed comes out whole, whoever reads, and nobody is ever left waiting."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.errors import InvalidData, NotFound
from tidemill.workers.pipe.feeder import CAPACITY, Feeder
from tidemill.workers.pipe.outlet import Outlet
from tidemill.workers.pipe.segment import Object, Piece, Replay, Segment, Series

LARGE = os.urandom(3 * CAPACITY + 77)


def of_bytes(*pieces: bytes, name: str = "piece") -> Series:
    return Series(name, lambda: pieces)


def written(directory: Path, *contents: bytes) -> list[Object]:
    paths = [directory / f"object-{i}" for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return [Object(path, path.name) for path in paths]


def read_all(outlet: Outlet, segments: int, size: int = 1 << 16) -> list[bytes]:
    found = []
    for number in range(segments):
        outlet.turn_to(number)
        parts, view = [], memoryview(bytearray(size))
        while got := outlet.readinto(view):
            parts.append(bytes(view[:got]))
        found.append(b"".join(parts))
    return found


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_another_process_reads_what_was_fed(tmp_path: Path) -> None:
    segments: list[Segment] = [*written(tmp_path, b"one", LARGE), of_bytes(b"", b"two", b"three")]
    feeder = Feeder(tmp_path / "data" / "train_0", segments)
    assert stat.S_ISFIFO(feeder.path.stat().st_mode)
    feeder.start()
    done = subprocess.run(["cat", str(feeder.path)], capture_output=True, check=True, timeout=20)
    assert done.stdout == b"one" + LARGE + b"twothree"
    feeder.close()
    assert feeder.ends == [3, 3 + len(LARGE), 11 + len(LARGE)]
    assert feeder.fault is None
    assert not feeder.path.exists()


def test_a_reader_that_goes_away_ends_the_epoch(tmp_path: Path) -> None:
    feeder = Feeder(tmp_path / "train_0", written(tmp_path, LARGE, LARGE))
    feeder.start()
    done = subprocess.run(
        ["head", "-c", "5", str(feeder.path)], capture_output=True, check=True, timeout=20
    )
    assert done.stdout == LARGE[:5]
    feeder.close()
    assert feeder.fault is None


def test_a_reader_that_is_killed_ends_the_epoch(tmp_path: Path) -> None:
    feeder = Feeder(tmp_path / "train_0", written(tmp_path, LARGE))
    feeder.start()
    with feeder.path.open("rb") as end, subprocess.Popen(["sleep", "60"], stdin=end) as reader:
        end.close()
        reader.send_signal(signal.SIGKILL)
    while not feeder.is_over:
        time.sleep(0.001)
    feeder.close()
    assert feeder.fault is None


def test_nobody_need_come(tmp_path: Path) -> None:
    feeder = Feeder(tmp_path / "train_0", written(tmp_path, LARGE))
    feeder.start()
    feeder.close()
    Feeder(tmp_path / "train_1", ()).close()
    assert not list(tmp_path.glob("train_*"))


def test_a_reader_that_takes_nothing_does_not_hold_up_the_end(tmp_path: Path) -> None:
    feeder = Feeder(tmp_path / "train_0", written(tmp_path, LARGE))
    asleep = os.open(feeder.path, os.O_RDONLY | os.O_NONBLOCK)
    feeder.start()
    time.sleep(0.01)
    feeder.close()
    os.close(asleep)


def test_a_killed_attempts_fifo_is_no_obstacle(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train_0")
    (tmp_path / "train_1").write_bytes(b"not even a FIFO")
    for name in ("train_0", "train_1"):
        with Outlet(Feeder(tmp_path / name, [of_bytes(b"new")])) as outlet:
            assert read_all(outlet, 1) == [b"new"]


@pytest.mark.parametrize("size", [1, 3, 1 << 16, 5 << 20])
def test_segments_come_out_one_by_one_whatever_is_read_at_a_time(tmp_path: Path, size: int) -> None:
    contents = [b"", b"a", b"", b"bcd" * 40, b"e" * 9, b""]
    if size > 1000:
        contents[1:1] = [LARGE, LARGE[:100]]
    segments: list[Segment] = [*written(tmp_path, *contents)]
    segments[-2:] = [of_bytes(b"e" * 4, b"e" * 5), of_bytes()]
    with Outlet(Feeder(tmp_path / "train_0", segments)) as outlet:
        assert read_all(outlet, len(contents), size) == contents


def test_segments_that_are_not_wanted_are_passed_over(tmp_path: Path) -> None:
    contents = [LARGE, b"one", b"", LARGE[:999], b"last"]
    with Outlet(Feeder(tmp_path / "train_0", written(tmp_path, *contents))) as outlet:
        part = memoryview(bytearray(10))
        assert outlet.readinto(part)
        outlet.turn_to(3)
        assert outlet.readinto(part) == 10
        assert bytes(part) == LARGE[:10]
        outlet.turn_to(4)
        assert outlet.readinto(part) == 4
        assert outlet.readinto(part) == 0
        assert outlet.readinto(part) == 0


def test_an_outlet_that_is_left_early_leaves_nothing(tmp_path: Path) -> None:
    files = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with Outlet(Feeder(tmp_path / "train_0", written(tmp_path, LARGE))) as outlet:
            outlet.readinto(memoryview(bytearray(7)))
    assert len(os.listdir("/proc/self/fd")) == files
    assert not (tmp_path / "train_0").exists()


def test_an_object_that_vanished_is_named_to_the_reader(tmp_path: Path) -> None:
    good, gone = written(tmp_path, b"good", b"gone")
    gone.path.unlink()
    with Outlet(Feeder(tmp_path / "train_0", [good, gone])) as outlet:
        view = memoryview(bytearray(99))
        assert outlet.readinto(view) == 4
        assert outlet.readinto(view) == 0
        with pytest.raises(NotFound, match=r"Data download failed:a readable object object-1"):
            outlet.turn_to(1).readinto(view)


def test_an_object_that_shrinks_is_named_to_the_reader(tmp_path: Path) -> None:
    (file,) = written(tmp_path, LARGE)
    with Outlet(Feeder(tmp_path / "train_0", [file])) as outlet:
        outlet.readinto(memoryview(bytearray(10)))
        os.truncate(file.path, CAPACITY // 2)
        with pytest.raises(InvalidData, match=rf"object-0: must keep its {len(LARGE)} bytes"):
            read_all(outlet, 1)


def test_whatever_goes_wrong_in_the_feeder_is_raised_in_the_reader(tmp_path: Path) -> None:
    def pieces() -> Iterator[Piece]:
        yield b"good"
        raise ZeroDivisionError

    with (
        Outlet(Feeder(tmp_path / "train_0", [Series("x", pieces)])) as outlet,
        pytest.raises(ZeroDivisionError),
    ):
        read_all(outlet, 1)


def test_a_fifo_that_cannot_be_opened_is_no_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Feeder) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Feeder, "_wait_for_reader", refuse)
    with (
        Outlet(Feeder(tmp_path / "train_0", [of_bytes(b"x")])) as outlet,
        pytest.raises(OSError, match="Too many open files"),
    ):
        read_all(outlet, 1)


def test_a_second_reader_is_found_out(tmp_path: Path) -> None:
    with Outlet(Feeder(tmp_path / "train_0", written(tmp_path, LARGE))) as outlet:
        view = memoryview(bytearray(4096))
        outlet.readinto(view)
        with (tmp_path / "train_0").open("rb", buffering=0) as thief:
            assert thief.read(100)
        with pytest.raises(InvalidData, match="Let nothing else read the FIFO"):
            read_all(outlet, 1)


def test_file_systems_that_cannot_splice_are_copied_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "splice", refuse)
    with Outlet(Feeder(tmp_path / "train_0", written(tmp_path, LARGE, b"two"))) as outlet:
        assert read_all(outlet, 2) == [LARGE, b"two"]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.binary(max_size=50), max_size=4), max_size=6),
    st.integers(1, 60),
    st.data(),
)
def test_any_segments_come_through_as_they_are(
    contents: Sequence[Sequence[bytes]], size: int, data: st.DataObject
) -> None:
    with TemporaryDirectory() as directory:
        segments: list[Segment] = []
        for number, pieces in enumerate(contents):
            if data.draw(st.booleans()):
                segments.append(of_bytes(*pieces))
            else:
                path = Path(directory, str(number))
                path.write_bytes(b"".join(pieces))
                segments.append(Object(path, path.name))
        with Outlet(Feeder(Path(directory, "train_0"), segments)) as outlet:
            wanted = [b"".join(pieces) for pieces in contents]
            assert read_all(outlet, len(segments), size) == wanted
        for segment, content in zip(segments, wanted, strict=True):
            again, view = Replay(segment), memoryview(bytearray(size))
            parts = []
            while got := again.readinto(view):
                parts.append(bytes(view[:got]))
            assert b"".join(parts) == content
