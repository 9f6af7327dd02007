"""User code in real processes: started, asked, killed, and what a replica says of it."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil
import pytest

from tests.workers.places import Place
from tests.workers.script.jobs import SKLEARN, packed
from tests.workers.serve.pipelines import container
from tests.workers.serve.replicas import CSV
from tidemill.errors import Invalid, Missing, NotFound
from tidemill.spec.frame import REQUEST, Frame
from tidemill.spec.model import Container
from tidemill.workers import opt_ml
from tidemill.workers.serve.answers import Answer
from tidemill.workers.serve.choose import choose
from tidemill.workers.serve.user.hosted import Deferred

TORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.3.0-cpu-py311"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
HUGGING_FACE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-inference:2.1.0"
SOURCE = """
import os, sys, time
import helper

def model_fn(model_dir):
    print("loading from", model_dir)
    return open(os.path.join(model_dir, "name.txt")).read()

def transform_fn(model, data, content_type, accept):
    if data == "die":
        os._exit(3)
    if data == "hang":
        time.sleep(60)
    if data == "where":
        return "|".join([os.getcwd(), os.environ["SM_MODEL_DIR"], os.environ["COLOUR"]])
    if data == "pid":
        return str(os.getpid())
    return helper.shout(model, data), "text/plain"
"""
HELPER = "def shout(model, data):\n    return f'{model}:{data.upper()}'\n"
FILES = {"inference.py": SOURCE, "helper.py": HELPER}


class Chosen:
    """Who answers for a task, asked like a replica's loop asks."""

    def __init__(self, place: Place, *containers: Container, **more: Any) -> None:
        self.bell: SimpleQueue[None] = SimpleQueue()
        self.said: list[str] = []
        task = {"containers": [asdict(one) for one in containers], "region": "us-east-1", **more}
        self.answers, self.title = choose(
            place.home(), place.buckets, task, self.said.append, lambda: self.bell.put(None)
        )

    def __call__(self, *bodies: str, accept: str = "") -> list[Answer]:
        assert isinstance(self.answers, Deferred)
        head = f"{CSV}\n{accept}\n\n".encode()
        asked = [Frame(REQUEST, i, 0, head, body.encode()) for i, body in enumerate(bodies)]
        assert set(self.answers(asked)) == {None}
        found: dict[int, Answer] = {}
        while len(found) < len(asked):
            self.bell.get(timeout=30)
            found |= {frame.id: answer for frame, answer in self.answers.later()}
        return [found[index] for index in range(len(asked))]

    def text(self, body: str) -> str:
        [answer] = self(body)
        assert answer.status == 200, answer.body
        return answer.body.decode()


Choose = Callable[..., Chosen]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def choosing(place: Place) -> Iterator[Choose]:
    """``Chosen``, ended with the test."""
    made: list[Chosen] = []

    def make(*containers: Container, **more: Any) -> Chosen:
        made.append(Chosen(place, *containers, **more))
        return made[-1]

    yield make
    for one in made:
        if isinstance(one.answers, Deferred):
            one.answers.close()


def user(
    place: Place, files: Mapping[str, str] = FILES, image: str = SKLEARN, **environment: str
) -> Container:
    """A container whose model has its code in it."""
    inside = {f"code/{name}": text for name, text in files.items()}
    model = place.put("model.tar.gz", packed({"name.txt": "iris", **inside}))
    return Container(image, model, {"COLOUR": "green", **environment})


def test_code_in_the_model_answers_from_where_it_lies(place: Place, choosing: Choose) -> None:
    chosen = choosing(user(place))
    assert chosen.text("abc") == "iris:ABC"
    base = "/opt/ml" if opt_ml.is_allowed() else str(place.home().root)
    assert chosen.text("where") == f"{base}/model/code|{base}/model|green"
    assert chosen.title == "user code for scikit-learn from s3://mill/model.tar.gz"


def test_where_the_kernel_forbids_namespaces_the_variables_say_where_the_model_is(
    place: Place, choosing: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opt_ml, "is_allowed", lambda: False)
    home = str(place.home().root)
    assert choosing(user(place)).text("where") == f"{home}/model/code|{home}/model|green"


@pytest.mark.slow
def test_code_may_be_submitted_beside_the_model(place: Place, choosing: Choose) -> None:
    program = SOURCE.replace("SM_MODEL_DIR", "SAGEMAKER_PROGRAM")
    uri = place.put("code.tar.gz", packed({"serve.py": program, "helper.py": HELPER}))
    about = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": uri}
    chosen = choosing(user(place, {}, **about))
    assert chosen.text("where").endswith("/code|serve.py|green")


@pytest.mark.slow
def test_a_process_that_dies_is_replaced_and_only_its_request_fails(
    place: Place, choosing: Choose
) -> None:
    chosen = choosing(user(place))
    pid = chosen.text("pid")
    before, guilty, after = chosen("a", "die", "b")
    assert (before.body, after.body) == (b"iris:A", b"iris:B")
    assert guilty.status == 500
    assert b"exit code 3" in guilty.body
    assert opt_ml.is_allowed() or chosen.text("pid") != pid
    assert any("starting anew" in text for text in chosen.said)


@pytest.mark.slow
def test_a_process_that_hangs_is_ended_in_time(place: Place, choosing: Choose) -> None:
    chosen = choosing(user(place, SAGEMAKER_MODEL_SERVER_TIMEOUT="1"))
    slow, after = chosen("hang", "b")
    assert slow.status == 500
    assert b"more than 1 s" in slow.body
    assert after.body == b"iris:B"


@pytest.mark.serial
def test_under_load_no_request_is_lost_when_processes_are_killed(
    place: Place, choosing: Choose
) -> None:
    chosen = choosing(user(place, SAGEMAKER_MODEL_SERVER_WORKERS="2"))
    for _ in range(3):
        _wait_for(2)[0].kill()
        answers = chosen(*["a"] * 200)
        assert {answer.body for answer in answers} == {b"iris:A"}


@pytest.mark.serial
def test_nothing_is_left_when_a_replica_ends(place: Place) -> None:
    chosen = Chosen(place, user(place, SAGEMAKER_MODEL_SERVER_WORKERS="2"))
    _wait_for(2)
    assert isinstance(chosen.answers, Deferred)
    chosen.answers.close()
    _wait_for(0)


def _wait_for(count: int) -> list[psutil.Process]:
    until = time.monotonic() + 10
    while len(found := _programs()) != count:
        assert time.monotonic() < until
        time.sleep(0.01)
    return found


def _programs() -> list[psutil.Process]:
    """The processes that run user code for this test, not those that started them."""
    found = []
    for one in psutil.Process(os.getpid()).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "tidemill.workers.serve.user.child" in one.cmdline()[:4]:
                found.append(one)
    return found


@pytest.mark.slow
def test_a_failing_start_says_the_last_line_of_its_traceback(
    place: Place, choosing: Choose
) -> None:
    broken = {"inference.py": "import os\nos.environ['NOT_THERE']\n"}
    with pytest.raises(Invalid, match="KeyError: 'NOT_THERE'"):
        choosing(user(place, broken))
    silent = {"inference.py": "import os\nos._exit(9)\n"}
    with pytest.raises(Invalid, match="exit code 9"):
        choosing(user(place, silent))
    slow = {"inference.py": "import time\ntime.sleep(60)\n"}
    with pytest.raises(Invalid, match="within 1 s"):
        choosing(user(place, slow, SAGEMAKER_STARTUP_TIMEOUT="1"))


@pytest.mark.slow
def test_what_is_not_there_is_named(place: Place, choosing: Choose) -> None:
    with pytest.raises(Invalid, match="SAGEMAKER_PROGRAM.*'inference.py' among"):
        choosing(user(place, {}))
    with pytest.raises(Invalid, match="SAGEMAKER_PROGRAM.*'serve.py' among"):
        choosing(user(place, SAGEMAKER_PROGRAM="serve.py"))
    with pytest.raises(Invalid, match="SAGEMAKER_PROGRAM"):
        choosing(user(place, SAGEMAKER_PROGRAM="../name.txt"))
    with pytest.raises(Invalid, match="SAGEMAKER_SUBMIT_DIRECTORY"):
        choosing(user(place, SAGEMAKER_SUBMIT_DIRECTORY="/etc"))
    with pytest.raises(NotFound):
        choosing(user(place, SAGEMAKER_SUBMIT_DIRECTORY="s3://mill/none.tar.gz"))
    with pytest.raises(Missing, match="pip install (torch|transformers)"):
        choosing(user(place, image=HUGGING_FACE))


@pytest.mark.slow
def test_uncompressed_models_come_with_their_folders(place: Place, choosing: Choose) -> None:
    for name, text in {"name.txt": "iris", **{f"code/{n}": t for n, t in FILES.items()}}.items():
        place.put(f"plain/{name}", text.encode())
    assert choosing(Container(SKLEARN, "s3://mill/plain/", {})).text("abc") == "iris:ABC"


@pytest.mark.slow
def test_requirements_are_installed_for_it_alone(place: Place, choosing: Choose) -> None:
    package = {
        "requirements.txt": "./tidings-1.0-py3-none-any.whl\n",
        "inference.py": SOURCE.replace("import helper", "import tidings as helper"),
    }
    files = {f"code/{name}": text.encode() for name, text in package.items()}
    files["code/tidings-1.0-py3-none-any.whl"] = _wheel()
    model = place.put("model.tar.gz", _packed({"name.txt": b"iris", **files}))
    assert choosing(Container(SKLEARN, model, {})).text("abc") == "iris:ABC"


@pytest.mark.slow
def test_requirements_that_can_not_be_installed_are_told_with_pips_words(
    place: Place, choosing: Choose
) -> None:
    files = {**FILES, "requirements.txt": "./none-1.0-py3-none-any.whl\n"}
    with pytest.raises(Invalid, match="requirements.txt"):
        choosing(user(place, files))


@pytest.mark.slow
def test_a_pipeline_goes_through_user_code_and_algorithms(place: Place, choosing: Choose) -> None:
    prepare = """
def model_fn(model_dir):
    return 0

def transform_fn(model, data, content_type, accept):
    rows = [line.split(";") for line in data.splitlines()]
    return "".join(",".join(row) + "\\n" for row in rows), "text/csv"
"""
    chosen = choosing(user(place, {"inference.py": prepare}), container(place, "kmeans"))
    assert isinstance(chosen.answers, Deferred)
    answers = chosen("1;2;3\n", "4;5;6\n7;8;9\n", accept=CSV)
    assert [(answer.status, answer.body.count(b"\n")) for answer in answers] == [(200, 1), (200, 2)]
    assert all(answer.head.count(b"container-") == 2 for answer in answers)


def _packed(files: Mapping[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return raw.getvalue()


def _wheel() -> bytes:
    """The smallest package that pip installs without help."""
    import zipfile

    info = "tidings-1.0.dist-info"
    files = {
        "tidings.py": HELPER,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tidings\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return raw.getvalue()


@pytest.mark.slow
def test_torchscript_is_served_without_any_code(place: Place, choosing: Choose) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    raw = io.BytesIO()
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.script(layer), raw)
    model = place.put("model.tar.gz", _packed({"model.pt": raw.getvalue()}))
    chosen = choosing(Container(TORCH, model, {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}))
    assert chosen.text("1,2\n3,4\n") == "[[3.0], [7.0]]"


@pytest.mark.slow
def test_xgboosts_image_serves_code_where_a_program_is_named(
    place: Place, choosing: Choose, tmp_path: Path
) -> None:
    xgboost = pytest.importorskip("xgboost")
    rows = [[0.0, 1.0], [1.0, 0.0]] * 20
    trees = xgboost.train({"eta": 1}, xgboost.DMatrix(rows, [1.0, 3.0] * 20), 4)
    trees.save_model(tmp_path / "trees.json")
    program = (
        "import os, xgboost\n"
        "from sagemaker_xgboost_container import encoder\n\n"
        "def model_fn(model_dir):\n"
        "    return xgboost.Booster(model_file=os.path.join(model_dir, 'trees.json'))\n\n"
        "def input_fn(data, content_type):\n"
        "    return encoder.csv_to_dmatrix(data)\n"
    )
    files = {"trees.json": (tmp_path / "trees.json").read_bytes(), "code/run.py": program.encode()}
    model = place.put("model.tar.gz", _packed(files))
    chosen = choosing(Container(XGBOOST, model, {"SAGEMAKER_PROGRAM": "run.py"}))
    told = json.loads(chosen.text("0,1\n1,0\n"))
    assert told == pytest.approx([1, 3], abs=0.1)
