"""Tensors of the Open Inference Protocol: rows in, columns out, in JSON and as bytes."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.data.tensors import DATATYPES, Asked, decode, encode
from tidemill.errors import InvalidData

ROWS = [[1.0, 2.5], [3.0, -4.0], [0.0, 7.0]]


def tensor(data: Any, kind: str = "FP32", shape: list[int] | None = None, **more: Any) -> Any:
    shape = list(np.shape(data)) if shape is None else shape
    return {"name": "x", "datatype": kind, "shape": shape, "data": data, **more}


def request(*inputs: Any, **more: Any) -> bytes:
    return json.dumps({"inputs": inputs, **more}).encode()


def behind(*tables: tuple[bytes, str, list[int]], **more: Any) -> tuple[bytes, int]:
    inputs = [
        {
            "name": f"x{i}",
            "datatype": kind,
            "shape": shape,
            "parameters": {"binary_data_size": len(data)},
        }
        for i, (data, kind, shape) in enumerate(tables)
    ]
    head = request(*inputs, **more)
    return head + b"".join(data for data, _, _ in tables), len(head)


@pytest.mark.parametrize("data", [ROWS, np.ravel(ROWS).tolist()])
def test_lists_may_be_nested_or_not(data: Any) -> None:
    batch, asked = decode(request(tensor(data, shape=[3, 2]), id="q1"))
    assert batch.dense().tolist() == ROWS
    assert batch.dense().dtype == np.float32
    assert (asked.id, asked.outputs, asked.is_binary) == ("q1", (), False)


@pytest.mark.parametrize("kind", list(DATATYPES))
def test_every_type_of_number_arrives_in_json_and_as_bytes(kind: str) -> None:
    table = np.array([[1, 0], [1, 1]], DATATYPES[kind])
    batch, _ = decode(request(tensor(table.tolist(), kind)))
    assert batch.dense().tolist() == [[1, 0], [1, 1]]
    batch, _ = decode(*behind((table.tobytes(), kind, [2, 2])))
    assert batch.dense().tolist() == [[1, 0], [1, 1]]


def test_several_inputs_stand_side_by_side() -> None:
    batch, _ = decode(request(tensor([1, 2], "INT32"), tensor([[3, 4], [5, 6]])))
    assert batch.dense().tolist() == [[1, 3, 4], [2, 5, 6]]
    with pytest.raises(InvalidData, match="as many rows each"):
        decode(request(tensor([1]), tensor([1, 2])))


def test_texts_become_rows_of_text() -> None:
    batch, _ = decode(request(tensor(["one", "two\nlines"], "BYTES")))
    assert batch.text is not None
    assert list(batch.text) == ["one", "two lines"]
    packed = b"".join(struct.pack("<I", len(t)) + t for t in (b"one", b"", b"two"))
    batch, _ = decode(*behind((packed, "BYTES", [3, 1])))
    assert batch.text is not None
    assert list(batch.text) == ["one", "", "two"]


FAULTS: list[tuple[Any, str]] = [
    ({"inputs": []}, r"\$.inputs: must be a list of at least one"),
    ([], r"\$.inputs"),
    ({"inputs": [5]}, r"\$.inputs\[0\]: must be a tensor"),
    ({"inputs": [tensor([1], "FP31")]}, r"\$.inputs\[0\].datatype: must be one of BOOL"),
    ({"inputs": [tensor([1], ["FP32"])]}, r"\$.inputs\[0\].datatype: must be one of BOOL"),
    ({"inputs": [tensor([1], shape=[1, 1, 1])]}, r"\$.inputs\[0\].shape: must be of rows"),
    ({"inputs": [tensor([1], shape=[-1])]}, r"\$.inputs\[0\].shape"),
    ({"inputs": [tensor([1], shape=[True])]}, r"\$.inputs\[0\].shape"),
    ({"inputs": [tensor([], shape=[0, 3])]}, r"\$.inputs\[0\].shape: must have a row"),
    ({"inputs": [tensor([1, 2], shape=[3])]}, r"\$.inputs\[0\].data: must have 3 numbers.*got 2"),
    ({"inputs": [tensor([1], shape=[10**18])]}, r"must have 1000000000000000000 numbers"),
    ({"inputs": [tensor([[1], [2, 3]], shape=[3])]}, r"must be lists of one length"),
    ({"inputs": [tensor(["1"])]}, r"must be numbers of FP32"),
    ({"inputs": [tensor([None])]}, r"must be numbers of FP32"),
    ({"inputs": [tensor([1.5], "INT8")]}, r"must be numbers of INT8"),
    ({"inputs": [tensor([200], "INT8")]}, r"must be numbers of INT8"),
    ({"inputs": [tensor([-1], "UINT64")]}, r"must be numbers of UINT64"),
    ({"inputs": [tensor([1], "BOOL")]}, r"must be numbers of BOOL"),
    ({"inputs": [tensor([1], "BYTES")]}, r"must be 1 texts"),
    ({"inputs": [tensor(5, shape=[1])]}, r"\$.inputs\[0\].data: must be a list"),
    ({"inputs": [tensor([1], parameters=5)]}, r"\$.inputs\[0\].parameters: must be an object"),
    ({"inputs": [tensor([1])], "id": 5}, r"\$.id: must be a text"),
    ({"inputs": [tensor([1])], "outputs": 5}, r"\$.outputs: must be a list"),
    ({"inputs": [tensor([1])], "outputs": [{}]}, r"\$.outputs\[0\].name: must be a text"),
    ({"inputs": [tensor(["a"], "BYTES"), tensor([1])]}, r"must be one tensor where it is of BYTES"),
]


@pytest.mark.parametrize(("document", "words"), FAULTS)
def test_a_fault_carries_its_json_path(document: Any, words: str) -> None:
    with pytest.raises(InvalidData, match=words) as caught:
        decode(json.dumps(document).encode())
    assert len(str(caught.value)) < 600


def test_bytes_behind_the_json_are_counted_to_the_last() -> None:
    table = np.ones((2, 3), "<f4").tobytes()
    body, head = behind((table, "FP32", [2, 3]))
    with pytest.raises(InvalidData, match="must end with the last tensor; got '1 bytes more'"):
        decode(body + b"x", head)
    with pytest.raises(InvalidData, match="must be at most the 23 bytes left"):
        decode(body[:-1], head)
    with pytest.raises(InvalidData, match="must have 32 bytes"):
        decode(*behind((table, "FP32", [2, 4])))
    with pytest.raises(InvalidData, match="Inference-Header-Content-Length must be from 0"):
        decode(body, len(body) + 1)
    with pytest.raises(InvalidData, match="must be JSON"):
        decode(body, head - 1)
    with pytest.raises(InvalidData, match="texts, each behind its length"):
        decode(*behind((b"\xff\xff\xff\xffab", "BYTES", [1])))


@given(st.binary(max_size=60), st.integers(-1, 70))
@settings(deadline=None)
def test_any_bytes_are_refused_as_data(body: bytes, header: int) -> None:
    with pytest.raises(InvalidData):
        decode(body, header)


COLUMNS = {
    "score": np.array([[0.5, 0.25], [1, 2]], np.float32),
    "predicted_label": np.array([1, 0]),
    "word": np.array(["a", "bc"]),
}


def test_columns_become_named_tensors() -> None:
    body, text = encode(COLUMNS, Asked("q1"), "mill")
    assert text == len(body)
    assert json.loads(body) == {
        "model_name": "mill",
        "id": "q1",
        "outputs": [
            {"name": "score", "shape": [2, 2], "datatype": "FP32", "data": [0.5, 0.25, 1.0, 2.0]},
            {"name": "predicted_label", "shape": [2], "datatype": "INT64", "data": [1, 0]},
            {"name": "word", "shape": [2], "datatype": "BYTES", "data": ["a", "bc"]},
        ],
    }
    with pytest.raises(InvalidData, match="must be of score, predicted_label, word; got 'x'"):
        encode(COLUMNS, Asked(outputs=("x",)), "mill")


def test_outputs_are_chosen_and_written_as_bytes_where_that_is_asked_for() -> None:
    wish = {"name": "score", "parameters": {"binary_data": True}}
    _, asked = decode(request(tensor([1]), outputs=[wish, {"name": "word"}]))
    body, text = encode(COLUMNS, asked, "mill")
    outputs = json.loads(body[:text])["outputs"]
    assert [one["name"] for one in outputs] == ["score", "word"]
    assert outputs[0]["parameters"] == {"binary_data_size": 16}
    assert "data" not in outputs[0]
    assert np.frombuffer(body[text:], "<f4").tolist() == [0.5, 0.25, 1, 2]
    _, asked = decode(request(tensor([1]), parameters={"binary_data_output": True}))
    body, text = encode(COLUMNS, asked, "mill")
    sizes = [o["parameters"]["binary_data_size"] for o in json.loads(body[:text])["outputs"]]
    assert sum(sizes) == len(body) - text
    assert body.endswith(b"\x01\x00\x00\x00a\x02\x00\x00\x00bc")
