"""The real worker of processing jobs, from task.json to exit.json."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.workers import places
from tests.workers.places import BUCKET, Place, events, exit_of
from tests.workers.process.jobs import CODE, job, log, made, run, start
from tidemill.spec.home import WorkerHome
from tidemill.spec.processing_job import Input, Output
from tidemill.workers import opt_ml

PATIENCE = 30.0
REAL = opt_ml.is_allowed()
needs_opt_ml = pytest.mark.skipif(not REAL, reason="this kernel allows no namespaces")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def wait_for(home: WorkerHome, text: str) -> None:
    until = time.monotonic() + PATIENCE
    while text not in (log(home) if home.log.exists() else ""):
        assert time.monotonic() < until, log(home)
        time.sleep(0.01)


def failure(home: WorkerHome) -> str:
    return home.failure.read_text()


def test_a_script_reads_inputs_and_its_outputs_are_uploaded(place: Place) -> None:
    place.put("in/deep/rows.csv", b"1,2\n")
    script = """
        rows = base / "processing/input/data/deep/rows.csv"
        out = base / "processing/output"
        (out / "sub").mkdir()
        (out / "sub/rows.csv").write_text(rows.read_text() * 2)
        (out / "link").symlink_to(out / "sub/rows.csv")
        (out / "links").symlink_to(out / "sub")
        rows.write_text("changed")
        config = json.load(open(base / "config/processingjobconfig.json"))
        hosts = json.load(open(base / "config/resourceconfig.json"))
        told = [sys.argv[1:], config["ProcessingJobName"], hosts["current_host"], hosts["hosts"]]
        names = [os.environ[name] for name in ("PROCESSING_JOB_NAME", "AWS_REGION", "MY_OWN")]
        (out / "told.json").write_text(json.dumps([*told, *names, sys.prefix != sys.base_prefix]))
        (base / "output/message").write_text("half are missing")
        """
    wanted = job(
        place,
        script,
        arguments=("--n", "a b"),
        inputs=(Input("data", f"s3://{BUCKET}/in", "/opt/ml/processing/input/data"),),
        environment={"MY_OWN": "mine"},
    )
    (home,) = run(place, wanted)
    assert exit_of(home) == {"code": 0}, log(home)
    told = b'[["--n", "a b"], "job", "algo-1", ["algo-1"], "job", "us-east-1", "mine", true]'
    assert made(place) == {"sub/rows.csv": b"1,2\n1,2\n", "told.json": told}
    assert place.buckets.get_bytes(BUCKET, "in/deep/rows.csv") == b"1,2\n"
    (note,) = events(home, "note")
    assert (note.name, note.message) == ("message/algo-1", "half are missing")
    assert not home.processing.exists()


def test_an_exception_is_the_reason_of_the_failure_and_nothing_is_uploaded(place: Place) -> None:
    script = """
        (base / "processing/output/half").write_text("half")
        (base / "output/message").write_text("no labels")
        raise ValueError("too few rows")
        """
    (home,) = run(place, job(place, script))
    assert exit_of(home) == {"code": 1}
    assert failure(home) == "AlgorithmError: ValueError: too few rows"
    assert [e.message for e in events(home, "note")] == ["no labels"]
    assert made(place) == {}


def test_each_host_gets_its_share_of_a_sharded_input(place: Place) -> None:
    for number in range(3):
        place.put(f"in/{number}", b"%d" % number)
    script = """
        names = sorted(os.listdir(base / "processing/data"))
        host = json.load(open(base / "config/resourceconfig.json"))["current_host"]
        (base / "processing/output" / host).write_text(" ".join(names))
        """
    share = Input("d", f"s3://{BUCKET}/in/", "/opt/ml/processing/data", "S3Prefix")
    sharded = Input(*(share.name, share.uri, share.path, share.data_type, "ShardedByS3Key"))
    run(place, job(place, script, inputs=(sharded,), instances=2))
    assert made(place) == {"algo-1": b"0 2", "algo-2": b"1"}


@pytest.mark.slow
def test_a_manifest_names_the_objects(place: Place) -> None:
    place.put("in/a/x.csv", b"x")
    place.put("in/y.csv", b"y")
    manifest = place.put("in.manifest", b'[{"prefix": "s3://mill/in/"}, "a/x.csv"]')
    listed = Input("d", manifest, "/opt/ml/processing/data", "ManifestFile")
    script = """
        found = [p for p in (base / "processing/data").rglob("*") if p.is_file()]
        assert [p.name for p in found] == ["x.csv"], found
        """
    (home,) = run(place, job(place, script, inputs=(listed,)))
    assert exit_of(home) == {"code": 0}, log(home)


@pytest.mark.slow
def test_what_cannot_run_says_why(place: Place) -> None:
    for changes, words in (
        ({"image": "me/mine:1"}, "ClientError: AppSpecification.ImageUri must be the image of"),
        ({"outputs": (Output("o", "s3://nowhere/o", "/opt/ml/processing/o"),)}, "nowhere"),
        ({"inputs": (Input("d", "s3://mill/none", "/opt/ml/processing/d"),)}, "No S3 objects"),
        ({"entrypoint": ("nobody",)}, "AlgorithmError: nobody: No such file or directory"),
    ):
        (home,) = run(place, job(place, "", **changes))
        assert exit_of(home) == {"code": 127 if "nobody" in words else 1}
        assert words in failure(home)


@needs_opt_ml
def test_the_sdks_wrapper_of_frameworks_unpacks_its_source(place: Place) -> None:
    place.put("in/run.sh", b'#!/bin/bash\ncd %s\nset -e\npython run.py "$@"\n' % CODE.encode())
    script = """
        assert os.getcwd() == "/opt/ml/processing/input/code"
        pathlib.Path("beside").write_text("written beside the code")
        pathlib.Path("/opt/ml/processing/output/done").write_text(sys.argv[1])
        """
    wrapper = Input("entrypoint", f"s3://{BUCKET}/in/run.sh", "/opt/ml/processing/input/entrypoint")
    words = ("/bin/bash", f"{wrapper.path}/run.sh")
    (home,) = run(place, job(place, script, inputs=(wrapper,), entrypoint=words, arguments=("1",)))
    assert exit_of(home) == {"code": 0}, log(home)
    assert made(place) == {"done": b"1"}


@needs_opt_ml
@pytest.mark.slow
def test_large_inputs_are_not_copied_and_cannot_be_changed(place: Place) -> None:
    large = bytes(65 << 20)
    uri = place.put("in/large", large)
    script = """
        large = pathlib.Path("/opt/ml/processing/data/large")
        print("links:", large.stat().st_nlink)
        large.open("r+b").write(b"changed")
        assert large.read_bytes()[:7] == b"changed"
        """
    (home,) = run(place, job(place, script, inputs=(Input("d", uri, "/opt/ml/processing/data"),)))
    assert exit_of(home)["code"] in (0, 1)  # 1 where file systems have no layers
    assert place.buckets.get_bytes(BUCKET, "in/large") == large


@pytest.mark.slow
def test_without_namespaces_the_command_is_told_where_things_are(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(places.ENVIRONMENT, opt_ml.VARIABLE, "0")
    script = """
        assert str(base) != "/opt/ml"
        pathlib.Path(sys.argv[1], "done").write_text("1")
        """
    (home,) = run(place, job(place, script, arguments=("/opt/ml/processing/output",)))
    assert exit_of(home) == {"code": 0}, log(home)
    assert made(place) == {"done": b"1"}
    assert log(home).count("allows no namespaces") == 1


SLEEPER = """
    import signal, time
    def leave(*_):
        (base / "processing/output/rest").write_text("saved")
        sys.exit({code})
    signal.signal(signal.SIGTERM, leave)
    print("sleeping", flush=True)
    time.sleep(60)
    """


@pytest.mark.slow
@pytest.mark.parametrize(("code", "kept"), [(0, {"rest": b"saved"}), (3, {})])
def test_a_program_that_is_stopped_may_leave_outputs(
    place: Place, code: int, kept: dict[str, bytes]
) -> None:
    process = start(place, job(place, SLEEPER.replace("{code}", str(code))))
    wait_for(place.home(), "\nsleeping")
    process.terminate()
    assert process.wait(timeout=PATIENCE) == 0
    assert exit_of(place.home()) == {"code": 0, "stopped": True}
    assert made(place) == kept


@pytest.mark.slow
def test_an_image_that_cannot_run_may_be_stopped_first(place: Place) -> None:
    process = start(place, job(place, "", image="me/mine:1"))
    until = time.monotonic() + PATIENCE
    while not (place.home().root / "events.jsonl").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    process.terminate()
    assert process.wait(timeout=PATIENCE) == 0
    assert exit_of(place.home()) == {"code": 0, "stopped": True}


@pytest.mark.slow
def test_a_job_whose_worker_is_killed_runs_again_and_leaves_nothing_twice(place: Place) -> None:
    script = """
        import time
        out = base / "processing/output"
        assert not list(out.iterdir())
        (out / f"part-{os.getppid()}-{time.time_ns()}").write_text("1")
        if not (base / "again").exists():
            (base / "again").touch()
            print("sleeping", flush=True)
            time.sleep(60)
        """
    output = Output("made", f"s3://{BUCKET}/made", "/opt/ml/processing/output", continuous=True)
    wanted = job(place, script, outputs=(output,))
    process = start(place, wanted)
    wait_for(place.home(), "\nsleeping")
    until = time.monotonic() + PATIENCE
    while not (first := made(place)):
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (home,) = run(place, wanted)
    assert exit_of(home) == {"code": 0}, log(home)
    assert len(made(place)) == 1
    assert made(place).keys() != first.keys()


@pytest.mark.slow
def test_a_worker_killed_while_it_uploads_does_not_run_the_program_again(place: Place) -> None:
    wanted = job(place, "(base / 'processing/output/done').write_text('1'); raise SystemExit(3)")
    home = place.home()
    home.processing.joinpath("output").mkdir(parents=True)
    home.processing.joinpath("output/done").write_text("by the first")
    (home.root / "ran.json").write_text('{"stopped": false}')
    run(place, wanted)
    assert exit_of(home) == {"code": 0}, log(home)
    assert made(place) == {"done": b"by the first"}
