"""Checksums agree with their published check values, with zlib, and with themselves."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.storage.checksum import ALGORITHMS, checksum, combined
from tidemill.storage.crc import CRC32, CRC32C, CRC64NVME, LANE
from tidemill.storage.errors import UnknownAlgorithm

NOISE = random.Random(7).randbytes(3_000_000)


def test_the_catalogue_s_check_values() -> None:
    assert CRC32.of(b"123456789") == 0xCBF43926
    assert CRC32C.of(b"123456789") == 0xE3069283
    assert CRC64NVME.of(b"123456789") == 0xAE8B14860A799888


@pytest.mark.parametrize("size", [0, 1, LANE * 16 - 1, LANE * 16, LANE * 2048 + 5, 3_000_000])
def test_lanes_agree_with_zlib(size: int) -> None:
    assert CRC32.of(NOISE[:size]) == zlib.crc32(NOISE[:size])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_pieces_give_the_whole(name: str) -> None:
    whole, pieces = checksum(name), checksum(name)
    whole.update(NOISE[:200_000])
    for start, stop in ((0, 1), (1, 100_000), (100_000, 100_000), (100_000, 200_000)):
        pieces.update(NOISE[start:stop])
    assert whole.digest() == pieces.digest()


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5))
def test_parts_join_without_being_read_again(parts: list[bytes]) -> None:
    for name in ("crc32", "crc32c", "crc64nvme"):
        whole = checksum(name)
        whole.update(b"".join(parts))
        digests = []
        for part in parts:
            one = checksum(name)
            one.update(part)
            digests.append((one.digest(), len(part)))
        assert combined(name, digests) == whole.digest()


def test_an_unknown_one_lists_those_that_are_known() -> None:
    with pytest.raises(UnknownAlgorithm, match="crc64nvme"):
        checksum("xxhash3")
