"""Frames survive any cut of the stream that carries them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.spec.frame import HEADER, PING, PONG, REQUEST, RESPONSE, Frame, pack, unpack

FRAMES = st.lists(
    st.builds(
        Frame,
        st.sampled_from([REQUEST, RESPONSE, PING, PONG]),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**16 - 1),
        st.binary(max_size=40),
        st.binary(max_size=200),
    ),
    max_size=8,
)


def stream(frames: list[Frame]) -> bytes:
    return b"".join(pack(f.kind, f.id, f.status, f.head, f.body) for f in frames)


@given(FRAMES)
def test_what_was_packed_is_unpacked(frames: list[Frame]) -> None:
    data = stream(frames)
    assert unpack(data) == (frames, len(data))


@given(FRAMES, st.data())
def test_a_stream_may_be_cut_anywhere(frames: list[Frame], data: st.DataObject) -> None:
    whole, found, buffer = stream(frames), [], bytearray()
    while whole:
        size = data.draw(st.integers(1, len(whole)))
        buffer += whole[:size]
        whole = whole[size:]
        came, used = unpack(buffer)
        del buffer[:used]
        found += came
    assert (found, bytes(buffer)) == (frames, b"")


def test_part_of_a_frame_is_left_alone() -> None:
    data = pack(REQUEST, 1, 0, b"head", b"body")
    for size in range(len(data)):
        assert unpack(data[:size]) == ([], 0)


def test_the_header_is_sixteen_bytes_little_endian() -> None:
    assert HEADER.size == 16
    packed = pack(RESPONSE, 0x01020304, 200, b"ab", b"c")
    assert packed.hex() == "03000000" + "04030201" + "02" + "00" + "c800" + "02000000" + "616263"


def test_a_frame_taken_from_a_growing_buffer_lets_it_grow() -> None:
    buffer = bytearray(pack(PING, 1, 0, b"", b""))
    unpack(buffer)
    buffer += b"more"  # a view left open would forbid it
