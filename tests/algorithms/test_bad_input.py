"""One table of bad input over all algorithms: a job, and an endpoint, name what is wrong."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.workers.places import Place, csv_bytes, exit_of, job, recordio_bytes, train_here
from tidemill import registry
from tidemill.algorithms.base import Model
from tidemill.algorithms.hyperparameters import rule_of
from tidemill.artifact import archive
from tidemill.artifact.codec import from_bytes
from tidemill.data.batch import Batch
from tidemill.errors import InvalidHyperparameter
from tidemill.spec.channel import Channel
from tidemill.spec.frame import REQUEST, Frame
from tidemill.workers.serve.answers import Answer, Answers

Table = NDArray[np.float32]
CSV, RECORDIO = "text/csv", "application/x-recordio-protobuf"
_DRAWS = np.random.default_rng(3)
COUNTS = _DRAWS.poisson(3, (40, 4)).astype(np.float32)
LABELS = (COUNTS[:, 0] > 2).astype(np.float32)
"""Of a feature that a label goes with, so that there is something to learn."""


@dataclass(frozen=True)
class Subject:
    """An algorithm asked with hyperparameters for 40 rows of 4 columns.

    held_out: a channel whose rows it is judged on
    """

    algorithm: str
    asked: Mapping[str, object]
    labelled: bool = True
    held_out: str = "test"

    @property
    def csv(self) -> str:
        return f"{CSV};label_size={int(self.labelled)}"

    def body(self, rows: Table, labels: Table | None = None) -> bytes:
        """As the algorithm takes it: CSV, but RecordIO where it reads no CSV."""
        labels = LABELS[: len(rows)] if labels is None else labels
        if self.content_type == RECORDIO:
            return recordio_bytes(rows, labels)
        return csv_bytes(np.column_stack([labels, rows]) if self.labelled else rows)

    @property
    def content_type(self) -> str:
        reads_csv = CSV in registry.declaration(self.algorithm).content_types
        return self.csv if reads_csv else RECORDIO


SUBJECTS = {
    "factorization-machines": Subject(
        "factorization-machines",
        {"feature_dim": 4, "num_factors": 2, "predictor_type": "binary_classifier"},
    ),
    "kmeans": Subject("kmeans", {"k": 2, "feature_dim": 4}, labelled=False),
    "knn": Subject(
        "knn", {"k": 3, "feature_dim": 4, "sample_size": 40, "predictor_type": "classifier"}
    ),
    "lda": Subject(
        "lda", {"num_topics": 2, "feature_dim": 4, "mini_batch_size": 20}, labelled=False
    ),
    "linear-learner": Subject(
        "linear-learner",
        {"predictor_type": "binary_classifier", "feature_dim": 4, "num_models": 1, "epochs": 1},
        held_out="validation",
    ),
    "pca": Subject(
        "pca", {"num_components": 2, "feature_dim": 4, "mini_batch_size": 20}, labelled=False
    ),
    "pca, randomized": Subject(
        "pca",
        {
            "num_components": 2,
            "feature_dim": 4,
            "mini_batch_size": 20,
            "algorithm_mode": "randomized",
        },
        labelled=False,
    ),
    "randomcutforest": Subject(
        "randomcutforest", {"feature_dim": 4, "num_trees": 50}, labelled=False
    ),
    "xgboost": Subject(
        "xgboost", {"num_round": 2, "objective": "binary:hinge"}, held_out="validation"
    ),
}


def failure(
    root: Path,
    subject: Subject,
    files: Mapping[str, bytes],
    *,
    content_type: str | None = None,
    artifact: bytes | None = None,
    **changed: Any,
) -> str:
    """``ok``, or why the job over these channels failed, which is never a fault of ours.

    files: by channel · content_type: of them · artifact: what to go on from
    """
    place = Place(root)
    kind = content_type or subject.content_type
    channels = [
        Channel(name, place.put(f"{name}/rows", data), content_type=kind)
        for name, data in files.items()
    ]
    if artifact is not None:
        channels.append(Channel("model", place.put("model/model.tar.gz", artifact)))
    asked = {k: v for k, v in {**subject.asked, **changed}.items() if v is not None}
    home = train_here(place, job(subject.algorithm, asked, channels))
    assert "Traceback" not in home.log.read_text()
    if exit_of(home) == {"code": 0}:
        return "ok"
    said = home.failure.read_text()
    assert said.startswith("ClientError: "), said
    return said


@functools.cache
def artifact_of(name: str, root: Path) -> bytes:
    subject = SUBJECTS[name]
    assert failure(root, subject, {"train": subject.body(COUNTS)}) == "ok"
    return Place(root).artifact()


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """The artifact of a sound training job, by the subject's name."""
    root = tmp_path_factory.mktemp("sound")
    return lambda name: artifact_of(name, root / name)


def changed(row: int, column: int, value: float) -> Table:
    table = COUNTS.copy()
    table[row, column] = value
    return table


BROKEN: Mapping[str, tuple[Callable[[Subject], bytes], str]] = {
    "no bytes": (lambda s: b"", "channel 'train': a channel must have at least one row"),
    "rows cut short": (
        lambda s: s.body(COUNTS)[: -9 if s.content_type == RECORDIO else -5],
        "rows, (row|record) 40.*(columns|cut short)",
    ),
    "infinity": (lambda s: s.body(changed(6, 2, np.inf)), "rows, row 7, feature 3: .*got inf"),
}


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("fault", BROKEN)
def test_rows_that_no_algorithm_takes_are_named(name: str, fault: str, tmp_path: Path) -> None:
    make, words = BROKEN[fault]
    said = failure(tmp_path, SUBJECTS[name], {"train": make(SUBJECTS[name])})
    assert re.search(words, said), said


@pytest.mark.parametrize("name", [n for n, s in SUBJECTS.items() if "feature_dim" in s.asked])
def test_rows_of_another_width_than_feature_dim_are_refused(name: str, tmp_path: Path) -> None:
    for rows in (COUNTS[:, :3], np.column_stack([COUNTS, COUNTS])):
        subject, root = SUBJECTS[name], tmp_path / str(rows.shape[1])
        said = failure(root, subject, {"train": subject.body(rows)})
        assert re.search(rf"channel 'train': .*4 features.*got '?{rows.shape[1]}", said), said


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_column_without_a_value_is_named_unless_it_may_miss(name: str, tmp_path: Path) -> None:
    empty = COUNTS.copy()
    empty[:, 1] = np.nan
    said = failure(tmp_path, SUBJECTS[name], {"train": SUBJECTS[name].body(empty)})
    if registry.declaration(SUBJECTS[name].algorithm).allows_missing:
        assert said == "ok"
    else:
        assert "rows, row 1, feature 2: must be a finite number; got nan" in said


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("kind", ["image/png", "text/plain"])
def test_a_content_type_of_others_is_told_with_the_channel(
    name: str, kind: str, tmp_path: Path
) -> None:
    said = failure(tmp_path, SUBJECTS[name], {"train": b"1,2\n"}, content_type=kind)
    assert said.startswith("ClientError: channel 'train': ContentType must be one of ")
    assert f"for {SUBJECTS[name].algorithm}; got {kind!r}" in said


@pytest.mark.parametrize("name", ["factorization-machines", "linear-learner", "xgboost"])
@pytest.mark.parametrize("value", [2.0, -1.0, 0.5])
def test_a_label_that_is_no_class_is_named_with_its_row(
    name: str, value: float, tmp_path: Path
) -> None:
    subject = SUBJECTS[name]
    labels = LABELS.copy()
    labels[7] = value
    for channel in ("train", subject.held_out):
        files = {"train": subject.body(COUNTS), channel: subject.body(COUNTS, labels)}
        said = failure(tmp_path / channel, subject, files)
        assert said.startswith(f"ClientError: channel {channel!r}: {subject.algorithm}: labels of")
        assert re.search(rf"0 or 1; row 8 .*got {value}", said), said


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_channel_of_another_width_is_named(name: str, tmp_path: Path) -> None:
    subject = SUBJECTS[name]
    files = {"train": subject.body(COUNTS), subject.held_out: subject.body(COUNTS[:, :3])}
    said = failure(tmp_path, subject, files)
    assert re.search(rf"^ClientError: channel {subject.held_out!r}: .*4 features.*got '?3", said)


@pytest.mark.parametrize("name", SUBJECTS)
def test_rows_of_another_width_than_the_earlier_models_are_refused(
    name: str, tmp_path: Path, artifact: Callable[[str], bytes]
) -> None:
    subject = SUBJECTS[name]
    width: dict[str, Any] = {"feature_dim": 3} if "feature_dim" in subject.asked else {}
    files = {"train": subject.body(COUNTS[:, :3])}
    said = failure(tmp_path, subject, files, artifact=artifact(name), **width)
    assert re.search(r"must (be|have) (at least )?4.*got '?3", said), said


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_model_channel_that_holds_none_is_named(
    name: str, tmp_path: Path, artifact: Callable[[str], bytes]
) -> None:
    subject, whole = SUBJECTS[name], artifact(name)
    stranger = artifact("kmeans" if subject.algorithm == "pca" else "pca")
    for number, data in enumerate((b"", b"no archive", whole[: len(whole) // 2], stranger)):
        files = {"train": subject.body(COUNTS)}
        said = failure(tmp_path / str(number), subject, files, artifact=data)
        assert "channel 'model'" in said


EXTREMES = {
    "zeros": np.zeros_like(COUNTS),
    "all alike": np.ones_like(COUNTS),
    "tiny": COUNTS * np.float32(1e-38),
    "large": COUNTS * np.float32(1e20),
    "larger": COUNTS * np.float32(1e37),
    "one cell": changed(6, 2, 3e38),
}


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("extreme", EXTREMES)
def test_extreme_rows_end_in_a_model_that_answers_in_numbers_or_are_refused(
    name: str, extreme: str, tmp_path: Path
) -> None:
    subject = SUBJECTS[name]
    if failure(tmp_path, subject, {"train": subject.body(EXTREMES[extreme])}) == "ok":
        answers = model_of(subject, Place(tmp_path).artifact(), tmp_path / "m").predict(
            Batch(COUNTS)
        )
        assert [n for n, a in answers.items() if not np.isfinite(a).all()] == []


@pytest.mark.parametrize("name", SUBJECTS)
def test_rows_too_large_to_be_judged_by_are_refused(name: str, tmp_path: Path) -> None:
    subject = SUBJECTS[name]
    huge = np.full_like(COUNTS, 3e38)
    files = {"train": subject.body(COUNTS), subject.held_out: subject.body(huge)}
    said = failure(tmp_path, subject, files)
    assert said == "ok" or said.startswith(f"ClientError: channel {subject.held_out!r}: ")


@pytest.mark.parametrize("algorithm", registry.names())
def test_every_hyperparameter_refuses_what_it_is_not(algorithm: str) -> None:
    known = {s.algorithm: s.asked for s in SUBJECTS.values()}
    others = {k: str(v) for k, v in known.get(algorithm, {"mode": "supervised"}).items()}
    for item in fields(registry.declaration(algorithm).hyperparameters):
        rule = rule_of(item)
        wrong = [] if rule.kind == "text" else ["nonsense", ""]
        wrong += ["nan", "-inf", "1_0"] if rule.kind in ("int", "float") else []
        wrong += ["2147483648", "9" * 30, "0.5"] if rule.kind == "int" else []
        for text in wrong:
            with pytest.raises(InvalidHyperparameter) as refusal:
                registry.check(algorithm, {**others, item.name: text})
            said = str(refusal.value)
            assert said.startswith(f"{algorithm}: {item.name} must be "), (text, said)


@pytest.mark.parametrize("name", SUBJECTS)
def test_what_is_required_is_told(name: str) -> None:
    subject = SUBJECTS[name]
    given = {k: str(v) for k, v in subject.asked.items()}
    declared = fields(registry.declaration(subject.algorithm).hyperparameters)
    for item in declared:
        if item.default is MISSING:
            with pytest.raises(InvalidHyperparameter, match=f"{item.name} is required and must be"):
                registry.check(
                    subject.algorithm, {k: v for k, v in given.items() if k != item.name}
                )


def test_a_job_larger_than_the_machine_is_told_so(tmp_path: Path) -> None:
    subject = SUBJECTS["factorization-machines"]
    said = failure(tmp_path, subject, {"train": subject.body(COUNTS)}, num_factors=2**31 - 1)
    assert "must fit into this machine's memory" in said


REQUESTS: Mapping[str, tuple[bytes, str, str, int, str]] = {
    "nothing": (b"", CSV, "", 400, "must have a row"),
    "blank lines": (b"\n\n", CSV, "", 400, "must have a row"),
    "too narrow": (b"1,2,3\n", CSV, "", 400, "4 features.*3"),
    "ragged": (b"1,2,3,4\n1,2\n", CSV, "", 400, "row 2: must have 4 columns"),
    "a word": (b"1,two,3,4\n", CSV, "", 400, "row 1, column 2: must be a number; got 'two'"),
    "infinity": (b"1,inf,3,4\n", CSV, "", 400, "feature 2: must be a finite number; got inf"),
    "1e308": (b"1,1e308,3,4\n", CSV, "", 400, "feature 2: must be a finite number.*3.4e38"),
    "another type": (b"1,2,3,4\n", "image/png", "", 415, "got 'image/png'"),
    "another Accept": (b"1,2,3,4\n", CSV, "image/png", 406, "Accept must.*got 'image/png'"),
    "half a JSON": (b'{"instances":[{"fea', "application/json", "", 400, "JSON"),
    "text in JSON": (
        b'{"instances":[{"features":[1,"x",3,4]}]}', "application/json", "", 400, "must be a number"
    ),
    "no records": (b"1,2,3,4\n", RECORDIO, "", 400, "RecordIO"),
    "half a record": (recordio_bytes(COUNTS[:1])[:-3], RECORDIO, "", 400, "cut short"),
}  # fmt: skip


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_bad_request_is_told_what_is_wrong_and_the_next_is_answered(
    name: str, tmp_path: Path, artifact: Callable[[str], bytes]
) -> None:
    subject = SUBJECTS[name]
    model = model_of(subject, artifact(name), tmp_path)
    answers = Answers(model, registry.declaration(subject.algorithm), pytest.fail)
    for fault, (body, kind, accept, status, words) in REQUESTS.items():
        said = ask(answers, body, kind, accept)
        assert said.status == status, (fault, said)
        assert re.search(words, said.body.decode()), (fault, said)
        assert ask(answers, b"1,2,3,4\n").status == 200


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("value", ["-1", "0", "1e20", "1e30", "3e38", "-3e38"])
def test_no_answer_holds_anything_but_numbers(
    name: str, value: str, tmp_path: Path, artifact: Callable[[str], bytes]
) -> None:
    subject = SUBJECTS[name]
    model = model_of(subject, artifact(name), tmp_path)
    answers = Answers(model, registry.declaration(subject.algorithm), pytest.fail)
    instance = {"features": [float(value)] * 4}
    for kind, body in (
        (CSV, ",".join([value] * 4)),
        ("application/json", json.dumps({"instances": [instance]})),
    ):
        said = ask(answers, body.encode(), kind)
        if said.status == 415:
            continue
        assert said.status in (200, 400)
        if said.status == 200:
            assert not re.search(rb"nan|inf|null", said.body.lower()), said


def ask(answers: Answers, body: bytes, kind: str = CSV, accept: str = "") -> Answer:
    [said] = answers([Frame(REQUEST, 1, 0, f"{kind}\n{accept}\n".encode(), body)])
    return said


def model_of(subject: Subject, packed: bytes, directory: Path) -> Model:
    declared = registry.declaration(subject.algorithm)
    archive.unpack(packed, directory)
    model: Model = from_bytes(declared.model, (directory / archive.MODEL).read_bytes())
    return model
