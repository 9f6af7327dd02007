"""Whatever bytes a channel's files have, a job ends with a model or says what to mend."""

from __future__ import annotations

import gzip
import io
import tempfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.places import KMEANS, LINEAR, Place, exit_of, job, train_here
from tests.workers.train.test_content_types import LABELS, ROWS, WRITERS
from tidemill.spec.channel import Channel

NASTY = (
    b"\n\n", b"\r\n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"nan", b"-inf", b"1e999", b",,", b'"',
    b"1_0", b";", b"{}", b"[[[[", b"null", b'{"features":[]}\n', b'{"features":{"a":1}}\n',
    b"\x0a\x23\xd7\xce", b"\x93NUMPY", b"PAR1", b"9" * 400, b"(1,\n", b"\xff\xff\xff\x7f",
)  # fmt: skip


def run(
    content_type: str, files: list[bytes], *, labelled: bool = True, seed: int | None = None,
    compression: str = "None",
) -> str:  # fmt: skip
    """What became of a job over these files: ``ok``, or its failure."""
    with tempfile.TemporaryDirectory() as root:
        place = Place(Path(root))
        for number, data in enumerate(files):
            place.put(f"in/{number}", data)
        channel = Channel("train", "s3://mill/in/", content_type=content_type, shuffle_seed=seed,
                          compression=compression)  # fmt: skip
        asked: dict[str, object] = {"k": 2, "feature_dim": 3}
        if labelled:
            asked = {"predictor_type": "binary_classifier", "epochs": 1, "num_models": 1}
        home = train_here(place, job(LINEAR if labelled else KMEANS, asked, [channel]))
        return "ok" if exit_of(home) == {"code": 0} else home.failure.read_text()


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with a few faults in them."""
    data = whole
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.sampled_from([0, 1, 7, 60, len(data)]))
        data = data[:at] + draw(st.sampled_from((b"", *NASTY)) | st.binary(max_size=4)) + data[
            at + cut :
        ]  # fmt: skip
    return data


@pytest.mark.slow
@pytest.mark.parametrize("content_type", WRITERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_is_taken_for_a_fault_of_ours(content_type: str, data: st.DataObject) -> None:
    labelled = data.draw(st.booleans())
    rows = data.draw(st.sampled_from([1, 9, 60]))
    table = np.column_stack([LABELS, ROWS])[:rows, not labelled :]
    whole = WRITERS[content_type](table, int(labelled))
    files = [whole, data.draw(damaged(whole))][data.draw(st.integers(0, 1)) :]
    said = run(content_type, files, labelled=labelled, seed=data.draw(st.sampled_from([None, 1])))
    assert said == "ok" or said.startswith("ClientError: ")


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("data", [b"\n", b"\r\n\r\n", b" \n" * 50_000])
def test_csv_of_blank_lines_has_no_rows(data: bytes, labelled: bool, seed: int | None) -> None:
    said = run("text/csv", [data], labelled=labelled, seed=seed)
    assert "a channel must have at least one row" in said


def test_blank_lines_beside_rows_do_no_harm() -> None:
    rows = WRITERS["text/csv"](np.column_stack([LABELS, ROWS]), 1)
    assert run("text/csv", [b"\n\n", rows + b"\n" * 9_000_000, b"\n" + rows]) == "ok"


@pytest.mark.parametrize("shape", [(5, 0), (2, 2, 2), (0,)])
def test_an_array_that_is_no_table_is_refused(shape: tuple[int, ...]) -> None:
    out = io.BytesIO()
    np.save(out, np.zeros(shape))
    said = run("application/x-npy", [out.getvalue()])
    assert "numbers in two dimensions, rows and columns" in said


@pytest.mark.parametrize(
    "words", [b"(-500, 4)", b"(500, -4)", b"(5e9, 4) ", b"(50000, 4", b"((500, 4)"]
)
def test_a_header_that_makes_no_sense_is_refused(words: bytes) -> None:
    whole = WRITERS["application/x-npy"](np.column_stack([LABELS, ROWS]), 1)
    header = whole[:128].replace(b"(500, 4)", words).rstrip().ljust(127) + b"\n"
    said = run("application/x-npy", [header + whole[128:]])
    assert said.startswith("ClientError: channel 'train': 0: ")


@pytest.mark.parametrize("seed", [None, 1])
def test_parquet_with_fewer_rows_than_it_says_is_refused(
    seed: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "iter_batches", lambda *args, **more: iter(()))
    whole = WRITERS["application/x-parquet"](np.column_stack([LABELS, ROWS]), 1)
    said = run("application/x-parquet", [whole], seed=seed)
    assert "must be a Parquet file; got 'other row groups than it says'" in said


def test_a_gzip_that_is_cut_short_is_named() -> None:
    packed = gzip.compress(WRITERS["text/csv"](np.column_stack([LABELS, ROWS]), 1))
    said = run("text/csv", [packed[:-20]], compression="Gzip")
    assert "channel 'train': 0: must be gzip-compressed" in said
