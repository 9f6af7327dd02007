"""States and models as bytes: every plain value comes back, every damaged blob is refused."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tidemill.artifact.codec import digest, from_bytes, to_bytes
from tidemill.errors import InvalidData


@dataclass(frozen=True, slots=True)
class Leaf:
    values: NDArray[Any]
    name: str = "leaf"


@dataclass(frozen=True, slots=True)
class Other:
    number: float


@dataclass(frozen=True, slots=True)
class Tree:
    values: NDArray[Any]
    leaf: Leaf
    count: int = 0
    share: float = 0.5
    is_wet: bool = False
    maybe: NDArray[Any] | None = None
    either: Leaf | Other | None = None
    many: tuple[Leaf, ...] = ()
    pair: tuple[int, str] = (0, "")
    named: Mapping[str, Leaf] = field(default_factory=dict)
    by_word: dict[str, float] = field(default_factory=dict)
    perhaps: Mapping[str, Leaf] | None = None


@dataclass(frozen=True, slots=True)
class Nested:
    named: Mapping[str, Mapping[str, NDArray[Any]]]


def same(left: Any, right: Any) -> None:
    assert to_bytes(left) == to_bytes(right)
    assert type(left) is type(right)


def tree(**more: Any) -> Tree:
    return Tree(np.arange(3), Leaf(np.ones((2, 2), np.float32)), **more)


ARRAYS = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)

INTEGERS = st.integers(-(2**63), 2**64 - 1)


@given(ARRAYS)
def test_an_array_comes_back_with_its_type_and_shape(array: NDArray[Any]) -> None:
    again = from_bytes(Leaf, to_bytes(Leaf(array))).values
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(again, array)


@given(
    st.builds(
        tree,
        count=INTEGERS,
        share=st.floats(allow_nan=False),
        is_wet=st.booleans(),
        maybe=st.none() | ARRAYS,
        either=st.none() | st.builds(Leaf, ARRAYS, st.text()) | st.builds(Other, st.floats(0, 1)),
        many=st.lists(st.builds(Leaf, ARRAYS), max_size=3).map(tuple),
        pair=st.tuples(INTEGERS, st.text()),
        named=st.dictionaries(st.text(), st.builds(Leaf, ARRAYS), max_size=3),
        by_word=st.dictionaries(st.text(), st.floats(0, 1), max_size=3),
        perhaps=st.none() | st.dictionaries(st.text(), st.builds(Leaf, ARRAYS), max_size=2),
    )
)
def test_any_value_comes_back_and_equal_values_give_equal_bytes(value: Tree) -> None:
    again = from_bytes(Tree, to_bytes(value))
    same(again, value)
    assert type(again.either) is type(value.either)
    assert (again.pair, again.count, again.share) == (value.pair, value.count, value.share)
    assert dict(again.by_word) == dict(value.by_word)
    assert all(type(leaf) is Leaf for leaf in (again.perhaps or {}).values())


def test_an_array_that_came_back_may_be_written_to() -> None:
    values = from_bytes(Leaf, to_bytes(Leaf(np.zeros(3)))).values
    values += 1
    assert values.tolist() == [1, 1, 1]


@pytest.mark.parametrize("order", ["transposed", "strided"])
def test_an_array_that_is_not_contiguous_keeps_its_values(order: str) -> None:
    block = np.arange(12.0).reshape(3, 4)
    array = block.T if order == "transposed" else block[:, ::2]
    np.testing.assert_array_equal(from_bytes(Leaf, to_bytes(Leaf(array))).values, array)


def test_numpy_scalars_become_plain_numbers() -> None:
    again = from_bytes(Tree, to_bytes(tree(count=np.int64(3), share=np.float32(0.5))))
    assert (again.count, again.share) == (3, 0.5)


def test_a_mapping_that_looks_like_an_array_mark_comes_back() -> None:
    value = tree(by_word={"$array": 1.0})
    assert dict(from_bytes(Tree, to_bytes(value)).by_word) == {"$array": 1.0}


def test_arrays_under_keys_with_dots_are_kept_apart() -> None:
    value = Nested({"a": {"b.c": np.zeros(1)}, "a.b": {"c": np.ones(1)}})
    again = from_bytes(Nested, to_bytes(value)).named
    assert again["a"]["b.c"].tolist() == [0]
    assert again["a.b"]["c"].tolist() == [1]


@pytest.mark.parametrize("cut", [0, 4, 8, 20, 100, -1])
def test_a_blob_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(InvalidData, match="a saved Tree"):
        from_bytes(Tree, to_bytes(tree())[:cut])


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"not a blob at all",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 8) + b'"string"',
    ],
)
def test_bytes_that_are_no_blob_are_refused(blob: bytes) -> None:
    with pytest.raises(InvalidData):
        from_bytes(Leaf, blob)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_changes_a_value_only(at: int, flip: int) -> None:
    blob = bytearray(to_bytes(tree(either=Other(1.5), pair=(1, "a"))))
    blob[at % len(blob)] ^= flip
    try:
        value = from_bytes(Tree, bytes(blob))
    except InvalidData:
        return
    assert type(value) is Tree


@pytest.mark.parametrize("kind", [Other, Tree])
def test_a_blob_of_another_type_is_refused(kind: type) -> None:
    with pytest.raises(InvalidData, match=f"a saved {kind.__name__}"):
        from_bytes(kind, to_bytes(Leaf(np.ones(2))))


def test_a_mark_of_an_array_that_is_not_there_is_refused() -> None:
    blob = to_bytes(Leaf(np.ones(2)))
    broken = blob.replace(b".values\\", b".nowhre\\", 1)
    assert broken != blob
    with pytest.raises(InvalidData):
        from_bytes(Leaf, broken)


def test_reading_runs_no_code_of_the_blob() -> None:
    header = json.dumps({"__metadata__": {"skeleton": '{"__reduce__": ["os.system", "true"]}'}})
    blob = struct.pack("<Q", len(header)) + header.encode()
    with pytest.raises(InvalidData):
        from_bytes(Leaf, blob)


def test_a_digest_tells_blobs_apart() -> None:
    left, right = (to_bytes(Leaf(np.full(2, v))) for v in (1.0, 2.0))
    assert digest(left) == digest(bytes(left)) != digest(right)
    assert len(digest(left)) == 64


@dataclass(frozen=True, slots=True)
class Kinds:
    rows: NDArray[np.float32]
    size: int
    share: float
    name: str = ""
    maybe: Other | None = None
    counts: NDArray[np.int64] | NDArray[np.int32] | None = None

    def check(self) -> None:
        if len(self.rows) != self.size:
            raise ValueError("as many rows as there are said to be")


KINDS = Kinds(np.ones(2, np.float32), 2, 0.5)


def test_fields_of_their_declared_types_come_back() -> None:
    for value in (
        KINDS,
        replace(KINDS, share=1, name="x", maybe=Other(2.0)),
        replace(KINDS, counts=np.zeros(1, np.int32)),
        replace(KINDS, counts=np.zeros(1, np.int64)),
    ):
        same(from_bytes(Kinds, to_bytes(value)), value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": np.ones(2)},
        {"rows": np.ones(2, np.int32)},
        {"rows": None},
        {"rows": 2.0},
        {"size": 2.0},
        {"size": True},
        {"size": "2"},
        {"size": 2**64},
        {"share": "0.5"},
        {"share": None},
        {"share": np.ones(1, np.float32)},
        {"name": 3},
        {"name": None},
        {"maybe": 1},
        {"maybe": {"number": 1.0}},
        {"maybe": np.ones(1)},
        {"counts": np.ones(1)},
    ],
)
def test_fields_of_other_types_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidData, match="a saved Kinds"):
        from_bytes(Kinds, to_bytes(replace(KINDS, **wrong)))


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(InvalidData, match="as many rows as there are said to be"):
        from_bytes(Kinds, to_bytes(replace(KINDS, size=3)))
