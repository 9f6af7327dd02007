"""The real worker of users' programs, from task.json to exit.json."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.workers import places
from tests.workers.places import BUCKET, Place, events, exit_of
from tests.workers.script.jobs import TENSORFLOW, TORCH, failure, job, log, made, run
from tidemill.auth.credentials import load, load_or_create
from tidemill.spec.channel import Channel
from tidemill.spec.home import Home, WorkerHome
from tidemill.spec.training_job import MetricDefinition
from tidemill.workers import opt_ml

PATIENCE = 30.0
REAL = opt_ml.is_allowed()


def program(text: str) -> dict[str, str]:
    return {"train.py": "import json, os, pathlib, sys\n" + textwrap.dedent(text)}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def wait_for(home: WorkerHome, text: str) -> None:
    until = time.monotonic() + PATIENCE
    while text not in (log(home) if home.log.exists() else ""):
        assert time.monotonic() < until, log(home)
        time.sleep(0.01)


def test_a_program_reads_its_channels_and_leaves_a_model(place: Place) -> None:
    source = program(
        """
        model, data = pathlib.Path(os.environ["SM_MODEL_DIR"]), os.environ["SM_CHANNEL_TRAIN"]
        rows = pathlib.Path(data, "rows.csv")
        (model / "model.json").write_text(json.dumps([sys.argv[1:], rows.read_text()]))
        pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "report.txt").write_text("fine")
        rows.write_text("changed")
        config = json.load(open(os.environ["SM_INPUT_CONFIG_DIR"] + "/hyperparameters.json"))
        print("loss=0.5;", os.environ["TRAINING_JOB_NAME"], config["alpha"], os.environ["MY_OWN"])
        """
    )
    channel = Channel("train", place.put("in/rows.csv", b"1,2\n"))
    (home,) = run(
        place,
        job(
            place,
            source,
            hyperparameters={"n": 3, "alpha": "a b"},
            channels=[channel],
            environment={"MY_OWN": "mine"},
            metric_definitions=(MetricDefinition("loss", "loss=(.*?);"),),
        ),
    )
    assert exit_of(home) == {"code": 0}, log(home)
    assert json.loads(made(place)["model.json"]) == [["--alpha", "a b", "-n", "3"], "1,2\n"]
    assert list(made(place)) == ["model.json"]
    assert made(place, "output") == {"report.txt": b"fine"}
    assert place.buckets.get_bytes(BUCKET, "in/rows.csv") == b"1,2\n"
    assert [e.name for e in events(home, "status")] == ["Downloading", "Training", "Uploading"]
    assert [(e.name, e.value) for e in events(home, "metric")] == [("loss", 0.5)]
    assert events(home)[-1].message == "s3://mill/out/job/output/model.tar.gz"
    assert 'loss=0.5; job "a b" mine' in log(home)


@pytest.mark.slow
def test_a_program_can_call_the_platform_and_its_environment_holds_no_keys(place: Place) -> None:
    home = Home(place.root)
    load_or_create(home.credentials, {})
    home.run.mkdir()
    home.server.write_text('{"url": "http://127.0.0.1:1"}')
    text = """
        import botocore.session
        keys = botocore.session.get_session().get_credentials()
        pathlib.Path(os.environ["SM_MODEL_DIR"], "key").write_text(keys.access_key)
        print(os.environ["AWS_ENDPOINT_URL"], keys.secret_key in str(os.environ))
        """
    (worker,) = run(place, job(place, program(text)))
    keys = load(home.credentials)
    assert made(place) == {"key": keys.access_key_id.encode()}, log(worker)
    assert "http://127.0.0.1:1 False" in log(worker)
    assert (home.run / "aws-credentials").stat().st_mode & 0o077 == 0


def test_an_exception_is_the_reason_of_the_failure(place: Place) -> None:
    (home,) = run(place, job(place, program("raise ValueError('too few rows')")))
    assert exit_of(home) == {"code": 1}
    assert failure(home).startswith(
        'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "ValueError: too few'
    )
    assert failure(home).endswith('python train.py"')


@pytest.mark.slow
def test_what_a_program_says_of_its_failure_is_the_reason(place: Place) -> None:
    text = "open(os.environ['SM_OUTPUT_DIR'] + '/failure', 'w').write('no labels'); sys.exit(7)"
    (home,) = run(place, job(place, program(text)))
    assert (exit_of(home), failure(home)) == ({"code": 7}, "AlgorithmError: no labels")


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="this kernel allows no namespaces")
def test_opt_ml_is_real_and_each_jobs_own(place: Place) -> None:
    text = "open('/opt/ml/model/where', 'w').write(os.getcwd() + open('/opt/ml/code/a').read())"
    (home,) = run(place, job(place, {**program(text), "a": "!"}))
    assert made(place) == {"where": b"/opt/ml/code!"}, log(home)


@pytest.mark.slow
def test_without_namespaces_paths_come_by_variables_and_data_are_copies(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(places.ENVIRONMENT, opt_ml.VARIABLE, "0")
    text = """
        base = os.environ["SAGEMAKER_BASE_DIR"]
        assert os.environ["SM_MODEL_DIR"] == base + "/model"
        open(os.environ["SM_CHANNEL_TRAIN"] + "/rows.csv", "a").write("changed")
        open(os.environ["SM_MODEL_DIR"] + "/base", "w").write(base)
        """
    channel = Channel("train", place.put("in/rows.csv", b"1,2\n"))
    (home,) = run(place, job(place, program(text), channels=[channel]))
    assert made(place) == {"base": str(home.root).encode()}, log(home)
    assert log(home).count("allows no namespaces") == 1
    assert place.buckets.get_bytes(BUCKET, "in/rows.csv") == b"1,2\n"


@pytest.mark.slow
def test_a_stopped_program_may_save_what_it_has(place: Place) -> None:
    text = """
        import signal, time
        def save(*_):
            open(os.environ["SM_MODEL_DIR"] + "/half", "w").write("1")
            sys.exit(1)
        signal.signal(signal.SIGTERM, save)
        print("up", flush=True)
        while True: time.sleep(1)
        """
    home = place.train_task(job(place, program(text)))
    (place.root / "shared").mkdir()
    process = places.start("script", home)
    wait_for(home, "\nup")
    process.terminate()
    process.wait(PATIENCE)
    assert exit_of(home) == {"code": 0, "stopped": True}
    assert made(place) == {"half": b"1"}


@pytest.mark.slow
def test_one_that_will_not_stop_is_killed_and_what_is_there_is_kept(place: Place) -> None:
    text = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(os.environ["SM_MODEL_DIR"] + "/half", "w").write("1")
        print("up", flush=True)
        while True: time.sleep(1)
        """
    home = place.train_task(job(place, program(text)), grace=0.2)
    (place.root / "shared").mkdir()
    process = places.start("script", home)
    wait_for(home, "\nup")
    process.terminate()
    process.wait(PATIENCE)
    assert exit_of(home) == {"code": 0, "stopped": True}
    assert made(place) == {"half": b"1"}


@pytest.mark.slow
def test_a_killed_worker_takes_its_program_with_it_and_goes_on_from_checkpoints(
    place: Place,
) -> None:
    text = """
        import time
        place = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "checkpoints")
        done = len(list(place.iterdir()))
        (place / f"{done}-{os.getppid()}").write_text(str(done))
        print("pass", done, flush=True)
        if done < 2: time.sleep(3600)
        pathlib.Path(os.environ["SM_MODEL_DIR"], "passes").write_text(str(done))
        """
    place.put("ckpt/before", b"x")
    made_of = job(place, program(text), checkpoint_uri="s3://mill/ckpt")
    home = place.train_task(made_of)
    (place.root / "shared").mkdir()
    process = places.start("script", home)
    wait_for(home, "pass 1")
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    run(place, made_of)
    assert made(place) == {"passes": b"2"}, log(home)
    assert len(list(place.buckets.list(BUCKET, "ckpt/"))) == 3
    assert "Restored 1 files" in log(home)


@pytest.mark.slow
def test_requirements_are_installed_for_the_job_alone(place: Place) -> None:
    files = {
        **program("import tiny; open(os.environ['SM_MODEL_DIR'] + '/a', 'w').write(tiny.WORD)"),
        "requirements.txt": "./pkg\n",
        "pkg/setup.py": "from setuptools import setup\nsetup(name='tiny', py_modules=['tiny'])\n",
        "pkg/tiny.py": "WORD = 'tide'\n",
    }
    offline = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    (home,) = run(place, job(place, files, environment=offline))
    assert made(place) == {"a": b"tide"}, log(home)
    with pytest.raises(ImportError):
        __import__("tiny")


@pytest.mark.slow
def test_requirements_that_cannot_be_had_are_the_reason(place: Place) -> None:
    files = {**program(""), "requirements.txt": "no-such-package-of-tidemill==1\n"}
    (home,) = run(place, job(place, files, environment={"PIP_NO_INDEX": "1"}))
    assert failure(home).startswith("AlgorithmError: InstallRequirementsError:\nExitCode 1\n")
    assert "no-such-package-of-tidemill" in failure(home)
    assert not list((place.root / "environments").glob("*/complete"))


@pytest.mark.slow
def test_jobs_with_the_same_requirements_share_what_is_installed(place: Place) -> None:
    files = {
        **program("open(os.environ['SM_MODEL_DIR'] + '/python', 'w').write(sys.prefix)"),
        "requirements.txt": "# nothing that is not there\nnumpy\n",
    }
    for _ in range(2):
        (home,) = run(place, job(place, files, environment={"PIP_NO_INDEX": "1"}))
        assert made(place)["python"].decode() == str(home.root / "python"), log(home)
    assert log(home).count("Installing requirements") == 1
    assert len(list((place.root / "environments").glob("*/complete"))) == 1


def test_a_package_that_is_missing_is_named_with_what_to_run(place: Place) -> None:
    (home,) = run(place, job(place, program(""), image=TENSORFLOW))
    assert failure(home).startswith("ClientError: the package 'tensorflow', which TensorFlow")
    assert f"{sys.executable} -m pip install tensorflow" in failure(home)


@pytest.mark.slow
def test_shell_scripts_and_packages_are_entry_points(place: Place) -> None:
    shell = {"train.sh": 'echo "$@" > $SM_MODEL_DIR/words; which python >> $SM_MODEL_DIR/words\n'}
    (home,) = run(place, job(place, shell, "train.sh", hyperparameters={"name": "a b"}))
    assert made(place)["words"].decode() == f"--name a b\n{home.root}/python/bin/python\n"
    package = {
        "setup.py": "from setuptools import setup\nsetup(name='mine', py_modules=['train'])\n",
        "train.py": "import os; open(os.environ['SM_MODEL_DIR'] + '/n', 'w').write(__name__)\n",
    }
    offline = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    (home,) = run(place, job(place, package, environment=offline))
    assert made(place) == {"n": b"__main__"}, log(home)


@pytest.mark.slow
def test_a_command_of_ones_own_finds_opt_ml_and_python(place: Place) -> None:
    words = ("/bin/bash", "-c"), ('python3 -c "import tidemill"; echo $1 > model/a', "x", "b c")
    image = job(place, {"a": ""}, entrypoint=words[0], arguments=words[1])
    (home,) = run(place, image)
    assert made(place) == {"a": b"b c\n"}, log(home)


@pytest.mark.slow
def test_hosts_share_the_data_meet_and_make_one_model(place: Place) -> None:
    text = """
        import socket
        host, hosts = os.environ["SM_CURRENT_HOST"], json.loads(os.environ["SM_HOSTS"])
        names = sorted(os.listdir(os.environ["SM_CHANNEL_DATA"]))
        pathlib.Path(os.environ["SM_MODEL_DIR"], host).write_text(" ".join(names))
        at = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        if host == hosts[0]:
            with socket.create_server(("", at[1])) as server:
                server.accept()[0].sendall(b"hello")
        else:
            import time
            while True:
                try: print(socket.create_connection(at).recv(5)); break
                except ConnectionRefusedError: time.sleep(0.05)
        """
    for name in "abc":
        place.put(f"in/{name}", b"1")
    channel = Channel("data", "s3://mill/in/", distribution="ShardedByS3Key")
    first, second = run(place, job(place, program(text), channels=[channel], instances=2))
    assert made(place) == {"algo-1": b"a c", "algo-2": b"b"}, log(first) + log(second)
    assert "b'hello'" in log(second)
    assert not [e for e in events(second, "note") if e.name == "artifact"]


@pytest.mark.slow
def test_torchrun_starts_the_program(place: Place) -> None:
    pytest.importorskip("torch")
    text = "open(os.environ['SM_MODEL_DIR'] + '/world', 'w').write(os.environ['WORLD_SIZE'])"
    values = {"sagemaker_torch_distributed_enabled": True}
    (home,) = run(place, job(place, program(text), image=TORCH, hyperparameters=values))
    assert made(place) == {"world": b"1"}, log(home)


def test_a_bucket_that_is_missing_is_said_before_the_program_runs(place: Place) -> None:
    (home,) = run(place, job(place, program(""), output_uri="s3://no-such-bucket/out"))
    assert failure(home).startswith("ClientError:")
    assert "no-such-bucket" in failure(home)
    assert os.listdir(home.model) == []


@pytest.mark.slow
def test_pipes_give_an_epoch_after_the_other(place: Place) -> None:
    text = """
        import time
        def read(epoch):
            path = os.environ["SM_CHANNEL_TRAIN"] + f"_{epoch}"
            while not os.path.exists(path): time.sleep(0.01)
            return open(path).read()
        pathlib.Path(os.environ["SM_MODEL_DIR"], "seen").write_text(read(0) + read(1))
        """
    for name in "ab":
        place.put(f"in/{name}", f"{name}\n".encode())
    channel = Channel("train", "s3://mill/in/", input_mode="Pipe")
    (home,) = run(place, job(place, program(text), channels=[channel]))
    assert made(place) == {"seen": b"a\nb\na\nb\n"}, log(home)
