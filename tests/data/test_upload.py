from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest
import scipy.sparse

from tidemill.data.batch import Csr
from tidemill.data.stream import open_files
from tidemill.data.upload import encode_recordio, write_recordio
from tidemill.errors import InvalidData


@pytest.mark.parametrize("is_sparse", [False, True])
def test_what_is_uploaded_trains_the_same(tmp_path: Path, is_sparse: bool) -> None:
    table = np.random.default_rng(0).integers(0, 2, (20_000, 4)).astype(float)
    labels = pandas.Series(np.arange(20_000))
    data = scipy.sparse.csr_array(table) if is_sparse else pandas.DataFrame(table)
    path = tmp_path / "train.pbr"
    with path.open("wb") as file:
        write_recordio(file, data, labels)
    assert path.read_bytes() == encode_recordio(data, labels)
    ((batch, _),) = open_files([path], None, batch_rows=20_000).read()
    assert isinstance(batch.features, Csr) == is_sparse
    np.testing.assert_array_equal(batch.dense(), table)
    np.testing.assert_array_equal(batch.labels, labels)


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(InvalidData, match="labels must have 2 rows"):
        encode_recordio([[1], [2]], [1])
