"""Objects cut into records, a block at a time: memory grows with the longest record only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from tidemill.errors import InvalidData

Blocks = Iterable[bytes]
_MAGIC = 0xCED7230A.to_bytes(4, "little")
_HEAD = 8
_LENGTH = (1 << 29) - 1
_WHOLE, _LAST = 0, 3
"""Of a frame's continuation flag: a record of one frame, and the end of one of several."""


def records(blocks: Blocks, split: str, most: int) -> Iterator[bytes]:
    """The records of an object, cut as SplitType says.

    most: bytes of a record, 0 for no limit. Raises InvalidData for one that is longer or broken.
    """
    return _SPLITS[split](blocks, most)


def _lines(blocks: Blocks, most: int) -> Iterator[bytes]:
    """Lines without their ends; empty ones are none."""
    rest: list[bytes] = []
    size = 0
    for block in blocks:
        first, *others = block.split(b"\n")
        rest.append(first)
        size += len(first)
        _check(size, most)
        if others:
            found = [b"".join(rest), *others[:-1]]
            rest, size = [others[-1]], len(others[-1])
            yield from filter(None, (_fit(line, most) for line in found))
    yield from filter(None, [_fit(b"".join(rest), most)])


def _fit(line: bytes, most: int) -> bytes:
    _check(len(line), most)
    return line[:-1] if line.endswith(b"\r") else line


def _whole(blocks: Blocks, most: int) -> Iterator[bytes]:
    pieces: list[bytes] = []
    size = 0
    for block in blocks:
        size += len(block)
        if most and size > most:
            raise InvalidData(
                f"an object of at most MaxPayloadInMB ({most >> 20} MB) with SplitType None",
                got="more",
                do="Set SplitType to Line or RecordIO, raise MaxPayloadInMB, or cut the object.",
            )
        pieces.append(block)
    yield b"".join(pieces)


def _frames(blocks: Blocks, most: int) -> Iterator[bytes]:
    """Records of RecordIO, each with its frames' heads and padding, as requests want them."""
    buffer, begin = bytearray(), 0  # begin: of the first frame that is not yet whole
    for block in blocks:
        buffer += block
        start, at = 0, begin
        while len(buffer) - at >= _HEAD:
            if buffer[at : at + 4] != _MAGIC:
                raise _broken(bytes(buffer[at : at + 4]))
            word = int.from_bytes(buffer[at + 4 : at + _HEAD], "little")
            end = at + _HEAD + ((word & _LENGTH) + 3 & ~3)
            _check(end - start, most)
            if end > len(buffer):
                break
            at = end
            if word >> 29 in (_WHOLE, _LAST):
                yield bytes(buffer[start:end])
                start = end
        del buffer[:start]
        begin = at - start
    if buffer:
        raise _broken(f"{len(buffer)} bytes of one at the end")


def _check(size: int, most: int) -> None:
    if most and size > most:
        raise InvalidData(
            f"records of at most MaxPayloadInMB ({most >> 20} MB)",
            got=f"at least {size} bytes",
            do="Raise MaxPayloadInMB, or check that SplitType is that of the data.",
        )


def _broken(got: object) -> InvalidData:
    do = "Check that the object is RecordIO, or set another SplitType."
    return InvalidData("whole RecordIO records", got=got, do=do)


_SPLITS: Mapping[str, Callable[[Blocks, int], Iterator[bytes]]] = {
    "None": _whole,
    "Line": _lines,
    "RecordIO": _frames,
}
