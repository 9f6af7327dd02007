"""Load without pause while parts are killed, exchanged, added and taken away: nothing fails.

A short form runs with the other tests; ``make chaos`` runs a minute of each
(TIDEMILL_CHAOS_SECONDS) and at least 100,000 requests through updates (TIDEMILL_CHAOS_REQUESTS).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.chaos.load import CONNECTIONS, Load, Outcome
from tests.end_to_end import processes
from tests.end_to_end.conftest import Platform, platform
from tidemill.sdk.endpoint import Endpoint, deploy
from tidemill.sdk.train import train

pytestmark = [pytest.mark.slow, pytest.mark.serial]
__all__ = ["platform"]
SECONDS = float(os.environ.get("TIDEMILL_CHAOS_SECONDS", "3"))
REQUESTS = int(os.environ.get("TIDEMILL_CHAOS_REQUESTS", "5000"))
KILL_SECONDS = 2.0
REPLICAS = 2
BODY = b"0.5,0.5"


@pytest.fixture(scope="module")
def endpoint(platform: Platform) -> Endpoint:
    rows = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    job = train("kmeans", rows, k=3, connection=platform.connection).wait(quiet=True)
    return deploy(job, instances=REPLICAS, connection=platform.connection)


@pytest.fixture
def chance() -> random.Random:
    return random.Random(4)


def load(platform: Platform, endpoint: Endpoint) -> Load:
    """The endpoint's load, signed now: a signature is good for a quarter of an hour."""
    path = f"/endpoints/{endpoint.name}/invocations"
    told = platform.environment
    request = AWSRequest(
        "POST", told["AWS_ENDPOINT_URL"] + path, {"Content-Type": "text/csv"}, BODY
    )
    keys = Credentials(told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(keys, "sagemaker", platform.connection.region).add_auth(request)
    at = urlsplit(told["AWS_ENDPOINT_URL"])
    headers = {**dict(request.headers.items()), "Host": at.netloc, "Content-Length": len(BODY)}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    assert at.port is not None
    return Load(at.port, "\r\n".join(lines).encode() + b"\r\n\r\n" + BODY)


def during(platform: Platform, endpoint: Endpoint, happens: Callable[[Load], None]) -> Outcome:
    with load(platform, endpoint) as running:
        until_more(running, 1)
        happens(running)
        until_more(running, 100)
    print(f"{endpoint.name}: {running.outcome}")
    return running.outcome


def until_more(running: Load, count: int) -> None:
    wanted = running.answered + count
    until = time.monotonic() + 60
    while running.answered < wanted:
        assert time.monotonic() < until, "no answers come"
        time.sleep(0.05)


def nothing_failed(outcome: Outcome) -> None:
    assert outcome.failed == {}
    assert outcome.broken == 0
    assert outcome.answered > 100


def kill_again_and_again(part: str, platform: Platform, chance: random.Random) -> int:
    """SIGKILL any process of the part every two seconds; how many were."""
    kills, until = 0, time.monotonic() + SECONDS
    while time.monotonic() < until:
        with suppress(psutil.NoSuchProcess, IndexError):
            chance.choice(processes.of(part, platform.home)).kill()
            kills += 1
        time.sleep(KILL_SECONDS)
    assert kills >= SECONDS / KILL_SECONDS / 2, "too few were found to kill"
    return kills


@pytest.mark.parametrize("part", ["replica", "control plane"])
def test_a_part_is_killed_every_two_seconds(
    part: str, platform: Platform, endpoint: Endpoint, chance: random.Random
) -> None:
    def killing(running: Load) -> None:
        kill_again_and_again(part, platform, chance)

    nothing_failed(during(platform, endpoint, killing))


def test_a_replica_that_stands_still_holds_up_only_what_it_has(
    platform: Platform, endpoint: Endpoint, chance: random.Random
) -> None:
    """Stopped for long, it is replaced, and what it had is answered by another."""

    def stopping(running: Load) -> None:
        stopped = chance.choice(processes.of("replica", platform.home))
        stopped.suspend()
        until = time.monotonic() + SECONDS * 0.75
        while time.monotonic() < until:
            until_more(running, 100)
        with suppress(psutil.NoSuchProcess):
            stopped.resume()

    nothing_failed(during(platform, endpoint, stopping))


def test_the_endpoint_is_updated(platform: Platform, endpoint: Endpoint) -> None:
    client = platform.connection.client("sagemaker")
    config = client.describe_endpoint(EndpointName=endpoint.name)["EndpointConfigName"]
    variants = client.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    made = 0

    def updating(running: Load) -> None:
        nonlocal made
        began = running.answered
        while made == 0 or running.answered - began < REQUESTS:
            made += 1
            name = f"{endpoint.name}-{made}"
            client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
            client.update_endpoint(EndpointName=endpoint.name, EndpointConfigName=name)
            wait(endpoint)

    outcome = during(platform, endpoint, updating)
    nothing_failed(outcome)
    assert outcome.answered >= REQUESTS


def test_a_canary_is_rolled_back(platform: Platform, endpoint: Endpoint) -> None:
    client = platform.connection.client("sagemaker")
    cloudwatch = platform.connection.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="canary",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint.name}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    routing = {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "WaitIntervalInSeconds": 600,
    }
    config = endpoint.describe()["EndpointConfigName"]
    variants = client.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    client.create_endpoint_config(EndpointConfigName="canary", ProductionVariants=variants)

    def rolling_back(running: Load) -> None:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            cloudwatch.set_alarm_state(AlarmName="canary", StateValue="OK", StateReason="chaos")
            client.update_endpoint(
                EndpointName=endpoint.name,
                EndpointConfigName="canary",
                DeploymentConfig={
                    "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing},
                    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "canary"}]},
                },
            )
            wait_until_baking(endpoint)
            until_more(running, 100)
            cloudwatch.set_alarm_state(AlarmName="canary", StateValue="ALARM", StateReason="chaos")
            wait(endpoint)
            assert endpoint.describe()["EndpointConfigName"] == config

    nothing_failed(during(platform, endpoint, rolling_back))


def test_the_endpoint_grows_and_shrinks(platform: Platform, endpoint: Endpoint) -> None:
    client = platform.connection.client("sagemaker")
    found = client.describe_endpoint(EndpointName=endpoint.name)["ProductionVariants"]
    name = found[0]["VariantName"]

    def scaling(running: Load) -> None:
        until = time.monotonic() + SECONDS
        wanted = [REPLICAS + 1, REPLICAS]
        while time.monotonic() < until or wanted[-1] != REPLICAS:
            wanted.reverse()
            client.update_endpoint_weights_and_capacities(
                EndpointName=endpoint.name,
                DesiredWeightsAndCapacities=[
                    {"VariantName": name, "DesiredInstanceCount": wanted[-1]}
                ],
            )
            wait(endpoint)

    nothing_failed(during(platform, endpoint, scaling))


def test_a_killed_router_breaks_no_more_than_what_was_under_way(
    platform: Platform, endpoint: Endpoint, chance: random.Random
) -> None:
    kills = 0

    def killing(running: Load) -> None:
        nonlocal kills
        kills = kill_again_and_again("router", platform, chance)

    outcome = during(platform, endpoint, killing)
    assert outcome.failed == {}
    assert outcome.broken <= kills * CONNECTIONS
    assert outcome.answered > 100


def test_a_deleted_endpoint_answers_what_it_has_and_then_is_unknown(
    platform: Platform, endpoint: Endpoint
) -> None:
    with load(platform, endpoint) as running:
        until_more(running, 100)
        endpoint.delete()
        time.sleep(1)
    outcome = running.outcome
    assert outcome.broken == 0
    assert outcome.answered > 100
    assert all("not found" in failure for failure in outcome.failed), outcome.failed
    assert sum(outcome.failed.values()) > 0


def wait(endpoint: Endpoint) -> None:
    """Until the endpoint is in service again."""
    until = time.monotonic() + 60
    while (status := endpoint.describe()["EndpointStatus"]) != "InService":
        assert status in ("Updating", "RollingBack")
        assert time.monotonic() < until
        time.sleep(0.05)


def wait_until_baking(endpoint: Endpoint) -> None:
    until = time.monotonic() + 60
    while "Baking" not in str(endpoint.describe().get("PendingDeploymentSummary")):
        assert time.monotonic() < until
        time.sleep(0.05)
