"""The file of SageMaker's lda: written beside the model, and read in place of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tidemill.algorithms.lda.artifact import FILE, exports, imports
from tidemill.algorithms.lda.model import LdaModel
from tidemill.artifact.ndarrays import encode_list
from tidemill.errors import InvalidData

ALPHA = np.array([0.25, 0.75], np.float32)
BETA = np.array([[0.5, 0.5, 0], [0.1, 0.2, 0.7]], np.float32)


def put(directory: Path, *arrays: Any) -> Path:
    data = encode_list([np.asarray(array, np.float32) for array in arrays])
    (directory / FILE).write_bytes(data)
    return directory


def test_a_model_comes_back_from_its_file(tmp_path: Path) -> None:
    for name, data in exports(LdaModel(ALPHA, BETA)).items():
        (tmp_path / name).write_bytes(data)
    model = imports(tmp_path)
    assert_array_equal(model.alpha, ALPHA)
    assert_allclose(model.beta, BETA, rtol=1e-6)


def test_edited_chances_are_scaled(tmp_path: Path) -> None:
    model = imports(put(tmp_path, ALPHA, BETA * [[2], [7]]))
    assert_allclose(model.beta, BETA, rtol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([ALPHA], "alpha .topics,. and beta"),
        ([BETA, ALPHA], "alpha .topics,. and beta"),
        ([ALPHA, BETA[:1]], "as many topics"),
        ([ALPHA * [0, 1], BETA], "an alpha above 0"),
        ([ALPHA * np.nan, BETA], "an alpha above 0"),
        ([ALPHA, -BETA], "chances of words"),
        ([ALPHA, BETA * [[0], [1]]], "chances of words"),
        ([ALPHA, BETA + np.inf], "chances of words"),
        ([ALPHA, BETA[:, :0]], "alpha .topics,. and beta"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, arrays: Any, message: str) -> None:
    with pytest.raises(InvalidData, match=message) as told:
        imports(put(tmp_path, *arrays))
    assert FILE in told.value.do


def test_an_artifact_without_the_file_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InvalidData, match=r"model_algo-1.*notes\.txt"):
        imports(tmp_path)
