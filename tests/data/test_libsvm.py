"""The format application/x-libsvm, in channels and in requests."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_svmlight_file

from tidemill.data import content_type as types
from tidemill.data.batch import Batch, Csr, concatenate
from tidemill.data.formats import libsvm
from tidemill.data.request import decode
from tidemill.data.stream import open_files
from tidemill.data.where import Where
from tidemill.errors import InvalidData

READ = libsvm.reader(libsvm.Layout(columns=9))


def rows_of(text: str, where: Where = Where("rows.libsvm")) -> Batch:  # noqa: B008
    return READ(np.frombuffer(text.encode(), np.uint8), None, where)


def sparse(batch: Batch) -> Csr:
    assert isinstance(batch.features, Csr)
    return batch.features


def test_labels_weights_groups_and_comments_are_told_apart() -> None:
    batch = rows_of("# a comment\n1:0.5 qid:7 0:1.5 8:-2 # another\n\n-1 qid:8\n")
    assert batch.dense().tolist() == [[1.5, 0, 0, 0, 0, 0, 0, 0, -2], [0] * 9]
    assert batch.labels is not None
    assert batch.labels.tolist() == [1, -1]
    assert batch.weights is not None
    assert batch.weights.tolist() == [0.5, 1]
    assert batch.groups is not None
    assert batch.groups.tolist() == [7, 8]
    plain = rows_of("1 0:1\n")
    assert plain.weights is None
    assert plain.groups is None


def test_a_row_may_name_its_columns_in_any_order_but_each_once() -> None:
    batch = rows_of("1 5:5 0:1 3:3\n0 2:2\n")
    assert sparse(batch).indices.tolist() == [0, 3, 5, 2]
    assert sparse(batch).values.tolist() == [1, 3, 5, 2]
    with pytest.raises(InvalidData, match="row 2: must have each index once; got 'two.*column 4"):
        rows_of("1 5:5 0:1\n0 4:2 0:1 4:1\n")


FAULTS = [
    ("x 0:1", "label must be a number; got 'x'"),
    ("1:y 0:1", "weight must be a number; got '1:y'"),
    ("1 0", "index:value pairs after the label; got '0'"),
    ("1,0:1", "label must be a number; got '1,0:1'"),
    ("1 0:one", "value must be a number; got '0:one'"),
    ("1 0:1_0", "value must be a number; got '0:1_0'"),
    ("1 9:1", "index must be a whole number from 0 to 8; got '9:1'"),
    ("1 -1:1", "index must be a whole number from 0 to 8; got '-1:1'"),
    ("1 0.5:1", "index must be a whole number from 0 to 8"),
    ("1 \u0661:1", "index:value pairs"),
    ("1 qid:a 0:1", "qid must be a whole number"),
]


@pytest.mark.parametrize(("line", "words"), FAULTS)
def test_a_fault_names_row_token_and_form(line: str, words: str) -> None:
    where = Where("train.libsvm", 4096, lambda: 1000)
    with pytest.raises(
        InvalidData, match=f"train.libsvm, row 1003: .*{words}.*Write lines such as"
    ):
        rows_of(f"1 0:1\n\n# 3:4\n1 0:1e-60 8:2\n{line}\n", where)


def test_some_rows_with_a_qid_and_some_without_are_refused() -> None:
    with pytest.raises(InvalidData, match="all rows have a qid or none; got '1 of 2"):
        rows_of("1 qid:1 0:1\n1 0:1\n")


def test_one_file_with_qid_and_one_without_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1 qid:1 0:1\n")
    (tmp_path / "b").write_text("1 0:1\n")
    with pytest.raises(InvalidData, match="b: must have a qid in each row, as a has"):
        list(open_files([tmp_path], "libsvm", batch_rows=5).read())


def test_numbers_of_very_many_digits_are_read_among_others() -> None:
    long = "0." + "0" * 40 + "1"
    batch = rows_of(f"1 0:1\n{long} 1:{long} 2:1e-300 3:1e400\n2:{long} 3:4\n")
    assert sparse(batch).values.tolist() == [1, np.float32(float(long)), 0, np.inf, 4]
    assert batch.labels is not None
    assert batch.labels.tolist() == [1, np.float32(float(long)), 2]
    assert batch.weights is not None
    assert sparse(batch).indptr.tolist() == [0, 1, 4, 5]


TABLES = st.lists(
    st.tuples(
        st.floats(width=32, allow_nan=False, allow_infinity=False),
        st.dictionaries(st.integers(0, 40), st.integers(-999, 999).map(lambda n: n / 8)),
    ),
    min_size=1,
    max_size=30,
)  # fmt: skip


@given(TABLES, st.integers(1, 7), st.sampled_from([1, 40, 200]), st.booleans())
@settings(deadline=None, max_examples=30)
def test_channels_hold_what_scikit_learn_reads_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[float, dict[int, float]]],
    batch_rows: int,
    block: int,
    is_compressed: bool,
) -> None:
    folder = tmp_path_factory.mktemp("libsvm")
    lines = [
        f"{y!r} " + " ".join(f"{i}:{v!r}" for i, v in sorted(entries.items()))
        for y, entries in rows
    ]
    half = len(lines) // 2
    write = gzip.open if is_compressed else open
    for name, part in (("a", lines[:half]), ("b", lines[half:])):
        with write(folder / name, "wt") as file:
            file.write("".join(line + "\n" for line in part))
    stream = open_files(
        [folder], "text/libsvm", batch_rows=batch_rows, is_compressed=is_compressed, prefetch=0
    )
    opened: Any = stream.sources
    sources: Any = [replace(source, block=block) for source in opened]
    stream = type(stream)(sources, batch_rows, prefetch=0)
    ours = concatenate([batch for batch, _ in stream.read()])
    (folder / "all").write_text("".join(line + "\n" for line in lines))
    theirs, labels = load_svmlight_file(str(folder / "all"), zero_based=True)
    assert ours.columns == max(1, theirs.shape[1])
    assert ours.labels is not None
    np.testing.assert_array_equal(ours.labels, labels.astype(np.float32))
    np.testing.assert_array_equal(
        ours.dense()[:, : theirs.shape[1]], theirs.toarray().astype(np.float32)
    )


def test_all_files_of_a_channel_are_as_wide_as_the_widest(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1 0:1\n")
    (tmp_path / "b").write_text("1 0:1 # 99:1\n1:77 6:1\n")
    assert {b.columns for b, _ in open_files([tmp_path], "libsvm", batch_rows=1).read()} == {7}
    wide = open_files([tmp_path], "application/x-libsvm; feature_dim=20", batch_rows=5)
    assert [b.columns for b, _ in wide.read()] == [20]
    narrow = open_files([tmp_path], "libsvm;feature_dim=6", batch_rows=5)
    with pytest.raises(InvalidData, match="b, row 2: index must be a whole number from 0 to 5"):
        list(narrow.read())


def test_indices_count_from_0_unless_the_content_type_says_1(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1 1:5 3:7\n")
    zero, one = (
        next(open_files([tmp_path], kind, batch_rows=5).read())[0].dense().tolist()
        for kind in ("libsvm", "libsvm;indexing_mode=1")
    )
    assert zero == [[0, 5, 0, 7]]
    assert one == [[5, 0, 7]]
    (tmp_path / "a").write_text("1 0:5\n")
    with pytest.raises(InvalidData, match="index must be a whole number from 1 to 1"):
        list(open_files([tmp_path], "libsvm;indexing_mode=1", batch_rows=5).read())


@pytest.mark.parametrize(
    ("parameter", "words"),
    [("indexing_mode=2", "must be 0 or 1"), ("feature_dim=many", "must be a whole number"),
     ("feature_dim=99999999999", "at most 2147483647")],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused(
    tmp_path: Path, parameter: str, words: str
) -> None:
    (tmp_path / "a").write_text("1 0:5\n")
    with pytest.raises(InvalidData, match=words):
        open_files([tmp_path], f"libsvm;{parameter}", batch_rows=5)


def test_a_pipe_needs_to_be_told_the_width() -> None:
    unknown = libsvm.reader(libsvm.layout_of(types.parse("libsvm")))
    with pytest.raises(InvalidData, match="feature_dim=126"):
        unknown(np.frombuffer(b"1 0:1\n", np.uint8), None, Where("train_0"))


def test_nan_is_refused_like_anywhere(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1 0:5\n1 2:nan\n")
    with pytest.raises(InvalidData, match="a, row 2, feature 3: must be a finite number"):
        list(open_files([tmp_path], "libsvm", batch_rows=5).read())


@pytest.mark.parametrize("kind", ["text/libsvm", "text/x-libsvm", "Application/X-LibSVM", "libsvm"])
def test_requests_have_rows_with_or_without_labels(kind: str) -> None:
    batch = decode(b"0:1.2 2:0.4\n1 1:7\n# nothing\n-1 # empty row\n", kind)
    wanted = np.array([[1.2, 0, 0.4], [0, 7, 0], [0, 0, 0]], np.float32)
    np.testing.assert_array_equal(batch.dense(), wanted)
    assert batch.labels is None
    assert decode(b"1:3", "libsvm;feature_dim=4").dense().tolist() == [[0, 3, 0, 0]]
    assert decode(b"1:3", "libsvm;indexing_mode=1").dense().tolist() == [[3]]


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(["1", "-.5", "1e3", "nan", "2e-9", "x"]))
    ),
    st.sampled_from([" ", "  ", "\t"]),
    st.sampled_from(["", "\n", "1 ", "0:7 ", "# "]),
    st.sampled_from(["libsvm", "libsvm;feature_dim=25", "libsvm;indexing_mode=1"]),
)
@settings(deadline=None)
def test_a_row_alone_is_read_as_among_others(
    entries: list[tuple[int, str]], space: str, before: str, kind: str
) -> None:
    line = space.join(f"{index}:{value}" for index, value in entries)
    found: list[Any] = []
    for body in (before + line, f"{before}{line}\n# another line"):
        try:
            batch = libsvm.decode(body.encode(), types.parse(kind))
        except InvalidData as error:
            found.append(str(error))
        else:
            found.append((batch.columns, len(batch), batch.dense().tobytes()))
    assert found[0] == found[1]


def test_a_request_that_is_none_says_so() -> None:
    with pytest.raises(InvalidData, match="request body: must have a row"):
        decode(b"\n# only this\n", "libsvm")
    with pytest.raises(InvalidData, match="request body, row 2: .*got 'b'"):
        decode(b"0:1\n0:1 b\n", "libsvm")


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_decode_or_raise_invalid_data(body: bytes) -> None:
    try:
        batch = libsvm.decode(body)
    except InvalidData:
        return
    assert batch.features.shape[1] >= 1
    assert (np.diff(sparse(batch).indptr) >= 0).all()
