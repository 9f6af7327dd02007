"""Workers' logs, as CloudWatch Logs would give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.conftest import ACCOUNT, Gateway
from tests.gateway.failing import Client, refused
from tests.gateway.requests import model, training_job, variant
from tidemill.gateway.logs import lines

GROUP = "/aws/sagemaker/TrainingJobs"
NOON = 1_706_702_400_000  # 2024-01-31 12:00:00 UTC
TEXT = """starting
[01/31/2024 12:00:00 INFO 140] one
  of two lines
[01/31/2024 12:00:01.250 INFO 140] two

[01/31/2024 12:00:01 INFO 140] three, whose clock went back
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_lines_have_the_time_that_they_say_or_that_of_the_line_before(tmp_path: Path) -> None:
    found = list(lines.read(write(tmp_path / "log", TEXT), 1_700_000_000.0, whole=True))
    assert [(x.time, x.message[:12]) for x in found] == [
        (1_700_000_000_000, "starting"),
        (NOON, "[01/31/2024 "),
        (NOON, "  of two lin"),
        (NOON + 1250, "[01/31/2024 "),
        (NOON + 1250, "[01/31/2024 "),
    ]


def test_a_line_still_being_written_waits_unless_nothing_more_will_come(tmp_path: Path) -> None:
    path = write(tmp_path / "log", "done\nhalf a li")
    assert [x.message for x in lines.read(path, 0.0, whole=False)] == ["done"]
    assert [x.message for x in lines.read(path, 0.0, whole=True)] == ["done", "half a li"]


def test_an_endless_line_is_read_in_pieces(tmp_path: Path) -> None:
    path = write(tmp_path / "log", "x" * 600_000)
    assert [len(x.message) for x in lines.read(path, 0.0, whole=True)] == [262_144] * 2 + [75_712]
    assert [x.end for x in lines.read(path, 0.0, whole=False)] == [262_144, 524_288]


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list(lines.read(tmp_path / "none", 0.0, whole=True)) == []


@given(data=st.binary(max_size=300))
def test_any_bytes_are_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_bytes(data)
    found = list(lines.read(path, 0.0, whole=True))
    assert all(
        a.time <= b.time and a.end <= b.start for a, b in zip(found, found[1:], strict=False)
    )


@pytest.fixture
def logs(client: Client) -> Any:
    return client("logs")


@pytest.fixture
def job(sagemaker: Any, gateway: Gateway, region: str) -> str:
    """The stream of a job of two workers; one has written a thousand lines."""
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    sagemaker.create_training_job(**training_job("mill", ResourceConfig=resources))
    row = gateway.verbs.describe("training_job", region, "mill")
    home = Path(row.document["state"]["home"])
    text = "".join(f"[01/31/2024 12:{i // 60:02}:{i % 60:02} INFO] line {i}\n" for i in range(1000))
    write(home / "algo-1" / "worker.log", text)
    return f"mill/algo-1-{int(row.created)}"


def test_a_job_has_one_stream_a_worker_that_has_written(logs: Any, job: str) -> None:
    told = logs.describe_log_streams(
        logGroupName=GROUP, logStreamNamePrefix="mill/", orderBy="LogStreamName", limit=1
    )
    assert [s["logStreamName"] for s in told["logStreams"]] == [job]
    assert "nextToken" not in told
    told = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="other/")
    assert told["logStreams"] == []
    assert len(logs.describe_log_streams(logGroupName=GROUP)["logStreams"]) == 1


def pages(logs: Any, stream: str, **asked: Any) -> list[list[str]]:
    """As the SDK reads: forward until a page is empty."""
    found, token = [], {}
    while True:
        told = logs.get_log_events(
            logGroupName=GROUP, logStreamName=stream, startFromHead=True, **asked, **token
        )
        if not told["events"]:
            assert told["nextForwardToken"] == token.get("nextToken", told["nextForwardToken"])
            return found
        found.append([e["message"].split("] ")[1] for e in told["events"]])
        token = {"nextToken": told["nextForwardToken"]}


def test_forward_pages_end(logs: Any, job: str) -> None:
    found = pages(logs, job, limit=300)
    assert [len(p) for p in found] == [300, 300, 300, 100]
    assert [line for p in found for line in p] == [f"line {i}" for i in range(1000)]


def test_lines_from_a_time_on(logs: Any, job: str) -> None:
    [found] = pages(logs, job, startTime=NOON + 990_000)
    assert found == [f"line {i}" for i in range(990, 1000)]
    [found] = pages(logs, job, startTime=NOON, endTime=NOON + 2_000)
    assert found == ["line 0", "line 1"]


def test_the_last_lines_come_first_and_pages_go_backwards(logs: Any, job: str) -> None:
    stream = {"logGroupName": GROUP, "logStreamName": job, "limit": 400}
    last = logs.get_log_events(**stream)
    before = logs.get_log_events(**stream, nextToken=last["nextBackwardToken"])
    first = logs.get_log_events(**stream, nextToken=before["nextBackwardToken"])
    none = logs.get_log_events(**stream, nextToken=first["nextBackwardToken"])
    assert [len(p["events"]) for p in (last, before, first, none)] == [400, 400, 200, 0]
    assert last["events"][-1]["message"].endswith("line 999")
    assert first["events"][0]["message"].endswith("line 0")


def test_lines_written_later_follow_the_last_token(
    logs: Any, job: str, gateway: Gateway, region: str
) -> None:
    told = logs.get_log_events(logGroupName=GROUP, logStreamName=job, startFromHead=True)
    row = gateway.verbs.describe("training_job", region, "mill")
    with (Path(row.document["state"]["home"]) / "algo-1" / "worker.log").open("a") as file:
        file.write("more\n")
    told = logs.get_log_events(
        logGroupName=GROUP, logStreamName=job, nextToken=told["nextForwardToken"]
    )
    assert [e["message"] for e in told["events"]] == ["more"]


def test_a_pattern_picks_lines(logs: Any, job: str) -> None:
    def found(pattern: str) -> int:
        paginator = logs.get_paginator("filter_log_events").paginate(
            logGroupName=GROUP, filterPattern=pattern, PaginationConfig={"PageSize": 60}
        )
        return sum(len(page["events"]) for page in paginator)

    assert found("") == 1000
    assert found('"line 99"') == 11
    assert found("line -9") == 1000 - sum(
        "9" in f"{i // 60:02}:{i % 60:02} {i}" for i in range(1000)
    )
    assert found('?"line 1" ?"line 2"') == 222
    with refused("InvalidParameterException", "Filter patterns"):
        found("{ $.level = 1 }")


def test_what_is_not_there(logs: Any, job: str) -> None:
    with refused("ResourceNotFoundException", "The specified log stream does not exist."):
        logs.get_log_events(logGroupName=GROUP, logStreamName="mill/algo-9-1")
    for group in ("/aws/lambda/x", "/aws/sagemaker/Endpoints/nobody"):
        with refused("ResourceNotFoundException", "The specified log group does not exist."):
            logs.describe_log_streams(logGroupName=group)
    with refused("InvalidParameterException", "'limit' failed to satisfy constraint"):
        logs.get_log_events(logGroupName=GROUP, logStreamName=job, limit=20_000)
    with refused("InvalidParameterException", "nextToken"):
        logs.get_log_events(logGroupName=GROUP, logStreamName=job, nextToken="f/x")


def test_an_endpoint_has_its_group_from_its_creation_on(
    logs: Any, sagemaker: Any, gateway: Gateway, region: str
) -> None:
    sagemaker.create_model(**model("mill"))
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant()])
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    group = "/aws/sagemaker/Endpoints/e"
    assert logs.filter_log_events(logGroupName=group)["events"] == []
    told = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/E")["logGroups"]
    assert [g["logGroupName"] for g in told] == [group]
    assert ACCOUNT in told[0]["arn"]
    jobs = [
        "/aws/sagemaker/ProcessingJobs",
        "/aws/sagemaker/TrainingJobs",
        "/aws/sagemaker/TransformJobs",
    ]
    told = logs.describe_log_groups()["logGroups"]
    assert [g["logGroupName"] for g in told] == [group, *jobs]


def test_metrics_come_by_the_minute(
    client: Client, sagemaker: Any, gateway: Gateway, region: str
) -> None:
    sagemaker.create_training_job(**training_job("mill"))
    row = gateway.verbs.describe("training_job", region, "mill")
    start = NOON // 1000
    events = [(start + 1, 1.0), (start + 2, 3.0), (start + 61, 8.0), (start + 999, 9.0)]
    text = "".join(
        f'{{"time": {t}, "kind": "metric", "name": "train:msd", "value": {v}}}\n' for t, v in events
    )
    home = Path(row.document["state"]["home"]) / "algo-1"
    write(home / "events.jsonl", text + '{"time": 1, "kind": "status"}\nnot yet a li')
    cloudwatch = client("cloudwatch")
    asked = {
        "Namespace": "/aws/sagemaker/TrainingJobs",
        "MetricName": "train:msd",
        "Dimensions": [{"Name": "TrainingJobName", "Value": "mill"}],
        "StartTime": start,
        "EndTime": start + 600,
        "Period": 60,
        "Statistics": ["Average", "Maximum"],
    }
    told = cloudwatch.get_metric_statistics(**asked)["Datapoints"]
    assert [(d["Average"], d["Maximum"]) for d in told] == [(2.0, 3.0), (8.0, 8.0)]
    assert told[0]["Timestamp"].timestamp() == start
    none = {"Dimensions": [{"Name": "TrainingJobName", "Value": "nobody"}]}
    assert cloudwatch.get_metric_statistics(**{**asked, **none})["Datapoints"] == []
    with refused("InvalidParameterValue", "StartTime must be less"):
        cloudwatch.get_metric_statistics(**{**asked, "EndTime": start})
