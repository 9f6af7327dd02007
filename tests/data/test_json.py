from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.data.batch import Csr
from tidemill.data.formats import json, jsonlines
from tidemill.errors import InvalidData

DENSE = {"features": [1, 2.5, 0]}
LONG = {"data": {"features": {"values": [0, 4, 0]}}}
SPARSE = {"data": {"features": {"keys": [0, 2], "shape": [3], "values": [7, 8]}}}
ZEROS = {"data": {"features": {"keys": [], "shape": [3], "values": []}}}
WANTED = {0: [1, 2.5, 0], 1: [0, 4, 0], 2: [7, 0, 8], 3: [0, 0, 0]}
FORMS = [DENSE, LONG, SPARSE, ZEROS]


def request(*instances: Any) -> bytes:
    return orjson.dumps({"instances": instances, "configuration": {}})


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
@settings(deadline=None)
def test_all_forms_mix_in_one_request(kinds: list[int]) -> None:
    wanted = [WANTED[kind] for kind in kinds]
    instances = [FORMS[kind] for kind in kinds]
    assert json.decode(request(*instances)).dense().tolist() == wanted
    lines = b"\n".join(map(orjson.dumps, instances))
    assert jsonlines.decode(lines).dense().tolist() == wanted


def test_sparse_instances_stay_sparse() -> None:
    features = json.decode(request(SPARSE, ZEROS)).features
    assert isinstance(features, Csr)
    assert features.indptr.tolist() == [0, 2, 2]
    assert features.shape == (2, 3)


FAULTS: list[tuple[Any, str]] = [
    ({"features": [1, None, 3]}, r".features[1]: must be a number; got None"),
    ({"features": [1, "2", 3]}, r".features[1]: must be a number; got '2'"),
    ({"features": [1, [2], 3]}, r".features[1]: must be a number; got [2]"),
    ({"features": 5}, r".features: must be a list of numbers; got 5"),
    ({"features": []}, r".features: must have at least one number; got []"),
    ({"feature": [1]}, r": must have features; got {'feature': [1]}"),
    ([1, 2, 3], r": must have features; got [1, 2, 3]"),
    ({"features": [1, 2]}, r": must have 3 features, as the instances before; got 2"),
    ({"data": {"features": {"values": "x"}}}, r".data.features.values: must be a list"),
    (
        {"data": {"features": {"keys": [3], "shape": [3], "values": [1]}}},
        r".data.features.keys[0]: must be from 0 to 2, below the shape; got 3",
    ),
    (
        {"data": {"features": {"keys": [1, 2], "shape": [3], "values": [1]}}},
        r".data.features.keys: must have a key for each of the 1 values; got 2",
    ),
    (
        {"data": {"features": {"keys": [1.5], "shape": [3], "values": [1]}}},
        r".data.features.keys[0]: must be a whole number; got 1.5",
    ),
    (
        {"data": {"features": {"keys": [1], "values": [1]}}},
        r".data.features.shape: must be a list of whole numbers; got None",
    ),
    (
        {"data": {"features": {"keys": [1], "shape": [2**31, 2**31], "values": [1]}}},
        r".data.features.shape[0]: must be a whole number; got 2147483648",
    ),
    (
        {"data": {"features": {"keys": [1], "shape": [0], "values": [1]}}},
        r".data.features.shape: must give from 1 to 2147483647 columns; got [0]",
    ),
]


@pytest.mark.parametrize(("instance", "words"), FAULTS)
def test_a_fault_carries_its_json_path(instance: Any, words: str) -> None:
    with pytest.raises(InvalidData) as caught:
        json.decode(request(DENSE, LONG, instance))
    assert str(caught.value).startswith(f"$.instances[2]{words}")
    with pytest.raises(InvalidData) as caught:
        jsonlines.decode(b"\n".join(map(orjson.dumps, [DENSE, LONG, instance])))
    assert str(caught.value).startswith(f"request body, row 3: ${words}")


@pytest.mark.parametrize(
    "body", [b"{", b"[1,2]", b"{}", b'{"instances":[]}', b'{"instances":{"features":[1]}}', b"\xff"]
)
def test_a_body_without_instances_shows_how_to_write_them(body: bytes) -> None:
    with pytest.raises(InvalidData, match='"instances"'):
        json.decode(body)


def test_a_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(InvalidData) as caught:
        json.decode(request({"features": ["a" * 10_000]}))
    assert len(str(caught.value)) < 400


@given(st.binary(max_size=40))
@settings(deadline=None)
def test_any_bytes_decode_or_raise_invalid_data(body: bytes) -> None:
    for decode in (json.decode, jsonlines.decode):
        with pytest.raises(InvalidData):
            decode(body)


def test_blank_lines_and_carriage_returns_are_passed_over() -> None:
    assert jsonlines.decode(b'\n{"features":[1]}\r\n\r\n{"features":[2]}\n').dense().tolist() == [
        [1],
        [2],
    ]


def test_a_broken_line_is_named() -> None:
    with pytest.raises(InvalidData, match="row 2: must be one JSON object"):
        jsonlines.decode(b'{"features":[1]}\n{"features":[2]\n')


def training(*lines: bytes) -> Any:
    from tidemill.data.where import Where

    return jsonlines.read(np.frombuffer(b"\n".join(lines), np.uint8), None, Where("a.jsonl"))


def test_training_rows_carry_labels() -> None:
    batch = training(b'{"features":[1,2],"label":1}', b'{"features":[3,4],"label":0.5}')
    assert batch.labels.tolist() == [1, 0.5]
    wide = training(b'{"features":[1],"label":[1,2]}', b'{"features":[3],"label":[3,4]}')
    assert wide.labels.tolist() == [[1, 2], [3, 4]]
    assert training(b'{"features":[1]}').labels is None


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (b"", r"a.jsonl, row 2: \$.label\[0\]: must be a number; got None"),
        (b',"label":"x"', r"a.jsonl, row 2: \$.label\[0\]: must be a number; got 'x'"),
        (b',"label":[1,2]', r"a.jsonl, row 2: \$.label\[0\]: must be a number; got \[1, 2\]"),
    ],
)
def test_a_bad_training_label_names_its_row(label: bytes, words: str) -> None:
    with pytest.raises(InvalidData, match=words):
        training(b'{"features":[1],"label":1}', b'{"features":[3]' + label + b"}")
