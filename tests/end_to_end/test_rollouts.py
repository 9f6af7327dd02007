"""Traffic moved bit by bit on a real platform, with requests running all the time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.end_to_end import processes
from tests.end_to_end.conftest import Platform
from tidemill.sdk.endpoint import Endpoint
from tidemill.sdk.train import train

pytestmark = [pytest.mark.slow, pytest.mark.serial]
ALARM = "too-many-errors"


class Askers:
    """Two who ask without pause and without retries, and note which model answered."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.failures: list[str] = []
        self.answers: Counter[str] = Counter()
        self._endpoint = endpoint
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]

    def __enter__(self) -> Askers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        client = self._endpoint.connection.client("sagemaker-runtime")
        while not self._over.is_set():
            try:
                said = client.invoke_endpoint(
                    EndpointName=self._endpoint.name,
                    Body=b"9.0,9.0",
                    ContentType="text/csv",
                    Accept="application/json",
                    TargetVariant="AllTraffic",
                )
                assert said["InvokedProductionVariant"] == "AllTraffic"
                [answer] = orjson.loads(said["Body"].read())["predictions"]
                self.answers["old" if answer["distance_to_cluster"] < 5 else "new"] += 1
            except (ClientError, BotoCoreError) as error:
                self.failures.append(str(error))
            time.sleep(0.002)


@pytest.fixture(scope="module")
def models(platform: Platform) -> tuple[str, str]:
    """Two configs, told apart by how far (9, 9) is from their centres."""
    rows = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    near = train("kmeans", rows + 9, k=2, connection=platform.connection)
    far = train("kmeans", rows, k=2, connection=platform.connection)
    client = platform.connection.client("sagemaker")
    for job in (near.wait(quiet=True), far.wait(quiet=True)):
        told = client.describe_training_job(TrainingJobName=job.name)
        client.create_model(
            ModelName=job.name,
            ExecutionRoleArn=told["RoleArn"],
            PrimaryContainer={
                "Image": told["AlgorithmSpecification"]["TrainingImage"],
                "ModelDataUrl": job.artifact,
            },
        )
        client.create_endpoint_config(
            EndpointConfigName=job.name,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": job.name,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 2,
                }
            ],
        )
    return near.name, far.name


@pytest.fixture
def endpoint(platform: Platform, models: tuple[str, str]) -> Iterator[Endpoint]:
    client = platform.connection.client("sagemaker")
    made = Endpoint("rolling", platform.connection)
    client.create_endpoint(EndpointName=made.name, EndpointConfigName=models[0])
    yield made.wait(quiet=True)
    client.delete_endpoint(EndpointName=made.name)
    client.get_waiter("endpoint_deleted").wait(
        EndpointName=made.name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


def update(endpoint: Endpoint, config: str, kind: str, wait: int, **sizes: Any) -> None:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **sizes}
    endpoint.connection.client("sagemaker").update_endpoint(
        EndpointName=endpoint.name,
        EndpointConfigName=config,
        DeploymentConfig={
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing},
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": ALARM}]},
        },
    )


def until(endpoint: Endpoint, wanted: str) -> None:
    """Wait until the new fleet stands so."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pending = endpoint.describe().get("PendingDeploymentSummary")
        found = pending["ProductionVariants"][0].get("VariantStatus", []) if pending else []
        if wanted in [status["Status"] for status in found]:
            return
        time.sleep(0.05)
    raise AssertionError(f"never {wanted}: {endpoint.describe()}")


@pytest.fixture
def alarm(platform: Platform, endpoint: Endpoint) -> Any:
    """A client of CloudWatch in which there is an alarm that is quiet."""
    cloudwatch = platform.connection.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=ALARM,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[
            {"Name": "EndpointName", "Value": endpoint.name},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue="OK", StateReason="a new test")
    return cloudwatch


def test_a_canary_that_an_alarm_rolls_back_loses_no_request(
    endpoint: Endpoint, models: tuple[str, str], alarm: Any
) -> None:
    old, new = models
    with Askers(endpoint) as askers:
        size = {"Type": "CAPACITY_PERCENT", "Value": 30}
        update(endpoint, new, "CANARY", 600, CanarySize=size)
        until(endpoint, "Baking")
        askers.answers.clear()
        time.sleep(1.0)
        assert 0.1 < askers.answers["new"] / askers.answers.total() < 0.5
        alarm.set_alarm_state(AlarmName=ALARM, StateValue="ALARM", StateReason="a test")
        endpoint.wait(quiet=True)
        askers.answers.clear()
        time.sleep(0.3)
    assert askers.answers["new"] == 0
    assert askers.answers["old"] > 0
    told = endpoint.describe()
    assert (told["EndpointConfigName"], "PendingDeploymentSummary" in told) == (old, False)
    assert ALARM in told["FailureReason"]
    assert askers.failures == []
    assert asked(alarm, endpoint, new) > 0, "the new fleet has metrics of its own"


def asked(cloudwatch: Any, endpoint: Endpoint, config: str) -> float:
    """Invocations of the fleet of one config, as soon as any show."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        now = datetime.now(UTC)
        told = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[
                {"Name": "EndpointName", "Value": endpoint.name},
                {"Name": "VariantName", "Value": "AllTraffic"},
                {"Name": "EndpointConfigName", "Value": config},
            ],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )
        if told["Datapoints"]:
            return float(sum(point["Sum"] for point in told["Datapoints"]))
        time.sleep(0.2)
    return 0.0


def test_a_shadow_sees_what_production_answers(platform: Platform, models: tuple[str, str]) -> None:
    client = platform.connection.client("sagemaker")
    runtime = platform.connection.client("sagemaker-runtime")
    instance = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    client.create_endpoint_config(
        EndpointConfigName="pair",
        ProductionVariants=[{"VariantName": "main", "ModelName": models[0], **instance}],
        ShadowProductionVariants=[{"VariantName": "dark", "ModelName": models[1], **instance}],
    )
    client.create_endpoint(EndpointName="pair", EndpointConfigName="pair")
    made = Endpoint("pair", platform.connection).wait(quiet=True)
    [dark] = made.describe()["ShadowProductionVariants"]
    assert (dark["VariantName"], dark["CurrentInstanceCount"]) == ("dark", 1)

    def ask(**how: str) -> Any:
        return runtime.invoke_endpoint(
            EndpointName="pair", Body=b"9,9\n", ContentType="text/csv", **how
        )

    answers = [ask() for _ in range(20)]
    assert {answer["InvokedProductionVariant"] for answer in answers} == {"main"}
    assert len({answer["Body"].read() for answer in answers}) == 1
    with pytest.raises(ClientError, match="dark not found"):
        ask(TargetVariant="dark")
    cloudwatch = platform.connection.client("cloudwatch")
    now = datetime.now(UTC)

    def sees(metric: str, variant: str) -> float:
        told = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[
                {"Name": "EndpointName", "Value": "pair"},
                {"Name": "VariantName", "Value": variant},
            ],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in told)

    deadline = time.monotonic() + 20
    while sees("Invocations", "dark") < 20:  # what was asked before the router knew it had no copy
        assert time.monotonic() < deadline, "the shadow has too few metrics"
        ask()
        time.sleep(0.2)
    assert sees("ModelLatency", "dark") > 0
    assert sees("InvocationModelErrors", "dark") == 0
    client.delete_endpoint(EndpointName="pair")


def test_a_linear_shift_loses_no_request_though_the_control_plane_is_killed(
    platform: Platform, endpoint: Endpoint, models: tuple[str, str], alarm: Any
) -> None:
    killed = 0
    with Askers(endpoint) as askers:
        size = {"Type": "INSTANCE_COUNT", "Value": 1}
        update(endpoint, models[1], "LINEAR", 1, LinearStepSize=size)
        while endpoint.status == "Updating":
            killed += processes.kill("control plane", platform.home)
            time.sleep(1.0)
        endpoint.wait(quiet=True)
        askers.answers.clear()
        time.sleep(0.3)
    assert killed > 1
    assert askers.answers["old"] == 0
    assert askers.answers["new"] > 0
    told = endpoint.describe()
    assert told["EndpointConfigName"] == models[1]
    assert "FailureReason" not in told
    assert askers.failures == []
