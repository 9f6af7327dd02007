"""Streamed S3 bodies: AWS's own example is believed, and nothing else."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.auth import payload
from tidemill.auth.identity import Identity
from tidemill.auth.refusal import BrokenBody, Refusal, WrongChunk, WrongPayload

# The examples of "Signature Calculations: Transferring Payload in Multiple Chunks" (S3 API).
KEYS = {"AKIAIOSFODNN7EXAMPLE": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CHUNKS = [
    (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
]
SEED_TRAILER = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
CHUNKS_TRAILER = [
    (65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
    (1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
    (0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
]
TRAILER = b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
TRAILER_SIGNATURE = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


def identity(kind: str, seed: str = SEED) -> Identity:
    return Identity("AKIAIOSFODNN7EXAMPLE", "us-east-1", "s3", kind, "20130524T000000Z", seed)


SIGNED = identity("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
SIGNED_TRAILER = identity("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", SEED_TRAILER)
UNSIGNED = identity("STREAMING-UNSIGNED-PAYLOAD-TRAILER")


def framed(chunks: list[tuple[int, str]]) -> bytes:
    return b"".join(
        f"{size:x};chunk-signature={signature}\r\n".encode()
        + b"a" * size
        + (b"\r\n" if size else b"")
        for size, signature in chunks
    )


def read(who: Identity, body: bytes, step: int = 10_000, length: int | None = None) -> bytes:
    reader = payload.reader(who, KEYS, length)
    out = b"".join(reader.feed(body[at : at + step]) for at in range(0, len(body), step))
    reader.close()
    return out


def test_the_example_of_the_documentation_is_believed() -> None:
    assert read(SIGNED, framed(CHUNKS) + b"\r\n", length=66_560) == b"a" * 66_560


def test_the_example_with_a_trailer_is_believed() -> None:
    signature = f"x-amz-trailer-signature:{TRAILER_SIGNATURE}\r\n\r\n".encode()
    reader = payload.reader(SIGNED_TRAILER, KEYS)
    assert reader.feed(framed(CHUNKS_TRAILER) + TRAILER + signature) == b"a" * 66_560
    assert reader.close() == {"x-amz-checksum-crc32c": "sOO8/Q=="}


def test_a_trailer_needs_its_signature() -> None:
    for end in (b"", f"x-amz-trailer-signature:{SEED}\r\n".encode()):
        with pytest.raises(WrongChunk):
            read(SIGNED_TRAILER, framed(CHUNKS_TRAILER) + TRAILER + end + b"\r\n")


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_the_size_of_the_pieces_does_not_matter(step: int) -> None:
    body = b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"
    assert read(UNSIGNED, body, step) == b"hello world"


@given(st.randoms(use_true_random=False))
def test_any_one_bit_change_of_a_signed_stream_is_refused(source: random.Random) -> None:
    body = bytearray(framed(CHUNKS) + b"\r\n")
    ends = [*range(100), *range(65_600, 65_800), *range(66_700, len(body))]
    at = source.choice([*ends, source.randrange(len(body))])
    hex_digit = bytes(body[at : at + 1]).isalpha() and bytes(body[:at]).count(b";") == 0
    body[at] ^= 0x01 if hex_digit else 1 << source.randrange(8)
    with pytest.raises(Refusal):
        read(SIGNED, bytes(body), 100_000)


@given(st.integers(0, 66_900))
def test_a_stream_that_ends_too_early_is_refused(end: int) -> None:
    body = (framed(CHUNKS) + b"\r\n")[:-1]
    with pytest.raises(BrokenBody):
        read(SIGNED, body[:end], 100_000)


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n",
        b"5\r\nhelloworld\r\n",
        b"0\r\n\r\nmore",
        b"x" * 20_000,
        b"5;chunk-signature=00\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n",
        b"0\r\n" + b"".join(b"a%d:1\r\n" % i for i in range(40)) + b"\r\n",
    ],
)
def test_a_stream_that_is_not_framed_is_refused(body: bytes) -> None:
    with pytest.raises(BrokenBody):
        read(UNSIGNED, body)


def test_the_decoded_length_must_be_as_declared() -> None:
    with pytest.raises(BrokenBody, match="6 bytes specified"):
        read(UNSIGNED, b"5\r\nhello\r\n0\r\n\r\n", length=6)


def test_a_plain_body_is_hashed_as_it_passes() -> None:
    assert read(identity(sha256(b"hello").hexdigest()), b"hello", 2) == b"hello"
    with pytest.raises(WrongPayload):
        read(identity(sha256(b"hello").hexdigest()), b"hellp")
    assert read(identity("UNSIGNED-PAYLOAD"), b"anything") == b"anything"
