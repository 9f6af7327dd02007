"""Objects cut into records, wherever their blocks happen to end."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.places import recordio_bytes
from tidemill.errors import InvalidData
from tidemill.workers.transform.objects import inflated
from tidemill.workers.transform.split import records

SIZES = st.integers(1, 9)


def blocks(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@given(st.lists(st.binary().map(lambda b: b.replace(b"\n", b"").rstrip(b"\r"))), SIZES)
def test_lines_come_out_as_they_went_in(lines: list[bytes], size: int) -> None:
    wanted = [line for line in lines if line]
    for end in (b"\n", b"\r\n"):
        data = end.join(lines)
        assert list(records(blocks(data, size), "Line", 0)) == wanted
        assert list(records(blocks(data + end, size), "Line", 0)) == wanted


@pytest.mark.parametrize("size", [1, 3, 7, 64, 10_000])
def test_records_keep_their_frames(size: int) -> None:
    made = [recordio_bytes(row[None]) for row in np.eye(5, dtype=np.float32)]
    assert list(records(blocks(b"".join(made), size), "RecordIO", 0)) == made


@pytest.mark.parametrize("size", [1, 5, 100])
def test_a_record_of_several_frames_is_one(size: int) -> None:
    def frame(flag: int, payload: bytes) -> bytes:
        head = 0xCED7230A.to_bytes(4, "little") + (flag << 29 | len(payload)).to_bytes(4, "little")
        return head + payload + b"\0" * (-len(payload) % 4)

    long = frame(1, b"abcde") + frame(2, b"fg") + frame(3, b"h")
    made = [frame(0, b"xyz"), long, frame(0, b"")]
    assert list(records(blocks(b"".join(made), size), "RecordIO", 0)) == made


@pytest.mark.parametrize("broken", [b"1,2\n3,4\n", recordio_bytes(np.eye(3, dtype="f4"))[:-1]])
def test_what_is_no_recordio_is_refused(broken: bytes) -> None:
    with pytest.raises(InvalidData, match="RecordIO"):
        list(records([broken], "RecordIO", 0))


@pytest.mark.parametrize("split", ["None", "Line"])
def test_a_record_beyond_the_payload_is_refused_before_it_is_read(split: str) -> None:
    def endless() -> object:
        while True:
            yield b"x" * 1000

    with pytest.raises(InvalidData, match="MaxPayloadInMB"):
        list(records(endless(), split, 1 << 20))  # type: ignore[arg-type]


@given(st.lists(st.binary(), min_size=1), SIZES)
def test_gzip_of_several_members_is_read(members: list[bytes], size: int) -> None:
    packed = b"".join(gzip.compress(m) for m in members)
    assert b"".join(inflated(blocks(packed, size))) == b"".join(members)


@pytest.mark.parametrize(
    "broken", [b"plain text", gzip.compress(b"abc" * 99)[:-9]], ids=["text", "cut short"]
)
def test_damaged_gzip_is_refused(broken: bytes) -> None:
    with pytest.raises(InvalidData, match="gzip"):
        list(inflated([broken]))


def test_what_inflates_a_thousandfold_comes_in_blocks() -> None:
    found = list(inflated([gzip.compress(b"\0" * (20 << 20))]))
    assert max(map(len, found)) <= 1 << 20
    assert sum(map(len, found)) == 20 << 20
