"""A saved booster is looked at before the library, which follows any index, may load it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidemill.algorithms.xgboost import ubjson
from tidemill.algorithms.xgboost.model import FILE, imports
from tidemill.algorithms.xgboost.saved import About, about
from tidemill.data.batch import Batch
from tidemill.errors import Invalid, InvalidData

xgboost = pytest.importorskip("xgboost")
ROWS = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)


def trained(rounds: int = 3, labels: Any = None, **given: Any) -> Any:
    labels = ROWS[:, 0] + ROWS[:, 1] ** 2 if labels is None else labels
    given = {"max_depth": 4, "nthread": 1, "verbosity": 0, **given}
    return xgboost.train(given, xgboost.DMatrix(ROWS, labels), rounds)


def document(booster: Any) -> Any:
    return json.loads(bytes(booster.save_raw("json")))


CLASSES = np.arange(200) % 3


@pytest.mark.parametrize(
    ("given", "objective", "classes"),
    [
        ({}, "reg:squarederror", 0),
        ({"gamma": 2.0, "tree_method": "exact", "max_depth": 6}, "reg:squarederror", 0),
        ({"num_parallel_tree": 3, "subsample": 0.5}, "reg:squarederror", 0),
        ({"booster": "dart", "rate_drop": 0.5}, "reg:squarederror", 0),
        ({"booster": "gblinear"}, "reg:squarederror", 0),
        (
            {"objective": "multi:softmax", "num_class": 3, "labels": CLASSES, "gamma": 1.0},
            "multi:softmax",
            3,
        ),
        (
            {
                "booster": "gblinear",
                "objective": "multi:softprob",
                "num_class": 3,
                "labels": CLASSES,
            },
            "multi:softprob",
            3,
        ),
        ({"objective": "count:poisson", "labels": CLASSES}, "count:poisson", 0),
        ({"rounds": 0}, "reg:squarederror", 0),
    ],
)
def test_what_the_library_writes_is_sound(given: Any, objective: str, classes: int) -> None:
    booster = trained(**given)
    for form in ("ubj", "json"):
        assert about(bytes(booster.save_raw(form))) == About(objective, 4, classes)


def test_splits_by_category_are_sound() -> None:
    rows = np.random.default_rng(1).integers(0, 9, (200, 2)).astype(np.float32)
    table = xgboost.DMatrix(
        rows, rows[:, 0] % 3 + rows[:, 1], feature_types=["c", "c"], enable_categorical=True
    )
    booster = xgboost.train({"max_cat_to_onehot": 2, "nthread": 1}, table, 3)
    raw = document(booster)
    assert any(any(t["split_type"]) for t in trees_of(raw))
    assert about(bytes(booster.save_raw("ubj"))).columns == 2
    by_category = next(t for t in trees_of(raw) if any(t["split_type"]))
    by_category["categories"][0] = 2**30
    with pytest.raises(ValueError, match="categories"):
        about(json.dumps(raw).encode())


def trees_of(raw: Any) -> Any:
    return raw["learner"]["gradient_booster"]["model"]["trees"]


def put(name: str, value: int, at: int = 0) -> Any:
    def change(raw: Any) -> None:
        trees_of(raw)[1][name][at] = value

    return change


def all_trees_first(raw: Any) -> None:
    trees_of(raw)[1]["id"] = 0


def wide(raw: Any) -> None:
    raw["learner"]["learner_model_param"]["num_feature"] = "2147483647"


def grouped(raw: Any) -> None:
    raw["learner"]["gradient_booster"]["model"]["tree_info"][2] = 1


def short(raw: Any) -> None:
    trees_of(raw)[0]["split_conditions"].pop()


def cyclic(raw: Any) -> None:
    tree = trees_of(raw)[0]
    tree["left_children"][1] = 1


def deep(raw: Any) -> None:
    nodes = 2 * 5000 + 1
    tree = trees_of(raw)[0]
    inner = np.arange(0, nodes - 2, 2)
    left, right, parents = (np.full(nodes, -1) for _ in range(3))
    left[inner], right[inner] = inner + 1, inner + 2
    parents[inner + 1] = parents[inner + 2] = inner
    parents[0] = 2**31 - 1
    for name in tree:
        if isinstance(tree[name], list) and not name.startswith("categories"):
            tree[name] = [0] * nodes
    tree["left_children"], tree["right_children"] = left.tolist(), right.tolist()
    tree["parents"] = parents.tolist()
    tree["tree_param"]["num_nodes"] = str(nodes)


@pytest.mark.parametrize(
    "change",
    [
        put("left_children", 10**6),
        put("left_children", -7),
        put("right_children", 1),
        put("split_indices", 4),
        put("split_indices", -1),
        put("parents", 3, 1),
        put("split_type", 1),
        all_trees_first,
        wide,
        grouped,
        short,
        cyclic,
        deep,
    ],
)
def test_what_leads_nowhere_is_refused(change: Any, tmp_path: Path) -> None:
    raw = document(trained())
    change(raw)
    (tmp_path / FILE).write_text(json.dumps(raw))
    with pytest.raises(InvalidData, match="save_model"):
        imports(tmp_path)


def test_a_name_that_comes_twice_is_refused() -> None:
    text = bytes(trained().save_raw("json"))
    with pytest.raises(ValueError, match="once"):
        about(text.replace(b'"version"', b'"learner":{},"version"', 1))


def test_bytes_that_are_damaged_are_refused_or_answer(tmp_path: Path) -> None:
    blob, draws = bytes(trained().save_raw("ubj")), np.random.default_rng(2)
    refused = 0
    for at in draws.integers(0, len(blob), 150).tolist():
        wrong = blob[:at] + bytes([int(draws.integers(256))]) + blob[at + 1 :]
        (tmp_path / FILE).write_bytes(wrong if at % 5 else blob[:at])
        try:
            imports(tmp_path).predict(Batch(ROWS))
        except Invalid:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"{",
        b"[" * 1000,
        b"[#L\x7f" + bytes(7),
        b"[$d#l\x7f\xff\xff\xff",
        b"[$x#i\x01\x00",
        b"SL\xff\xff\xff\xff\xff\xff\xff\xff",
        b"i\x01i",
        b"{i\x01aZi\x01aZ}",
        b"N",
    ],
)
def test_binary_json_that_lies_is_refused(blob: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ubjson.decode(blob)


def test_binary_json_is_read() -> None:
    typed = b"[$l#i\x02\x00\x00\x00\x01\xff\xff\xff\xff"
    blob = b"{i\x01a[#i\x03TFZi\x01bSi\x02hii\x01c" + typed + b"i\x01dd?\x80\x00\x00}"
    found = ubjson.decode(blob)
    assert found.pop("c").tolist() == [1, -1]
    assert found == {"a": [True, False, None], "b": "hi", "d": 1.0}
