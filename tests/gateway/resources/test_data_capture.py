"""DataCaptureConfig through unmodified boto3: refused or kept, told, changed by an update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import model, variant
from tidemill.control import endpoint_config
from tidemill.control.plan.endpoint import route
from tidemill.control.plan.fleet import from_document
from tidemill.spec.capture import Capture

VALIDATION = "ValidationException"
SENT = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 30,
    "DestinationS3Uri": "s3://seen/below",
    "KmsKeyId": "alias/key",
    "CaptureOptions": [{"CaptureMode": "Output"}, {"CaptureMode": "Input"}],
    "CaptureContentTypeHeader": {
        "CsvContentTypes": ["Text/CSV"],
        "JsonContentTypes": ["application/json"],
    },
}
MEANT = Capture(
    30,
    "s3://seen/below",
    modes=("Input", "Output"),
    csv=("text/csv",),
    json=("application/json",),
    kms_key="alias/key",
)
TOLD = {
    "EnableCapture": True,
    "CaptureStatus": "Started",
    "CurrentSamplingPercentage": 30,
    "DestinationS3Uri": "s3://seen/below",
    "KmsKeyId": "alias/key",
}


@pytest.fixture
def mill(sagemaker: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TIDEMILL_CAPTURE_LEAST_FREE", "0")  # be the disk as full as it is
    sagemaker.create_model(**model("mill"))
    return sagemaker


def config(mill: Any, name: str, **more: object) -> None:
    mill.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant("main")], **more
    )


def stand(gateway: Gateway, region: str, status: str) -> None:
    gateway.verbs.change("endpoint", region, "mill", lambda row: replace(row, status=status))


def told(mill: Any) -> Any:
    return mill.describe_endpoint(EndpointName="mill").get("DataCaptureConfig")


def test_a_config_keeps_what_was_sent_and_means_it(
    mill: Any, gateway: Gateway, region: str
) -> None:
    config(mill, "c", DataCaptureConfig=SENT)
    assert mill.describe_endpoint_config(EndpointConfigName="c")["DataCaptureConfig"] == SENT
    row = gateway.verbs.describe("endpoint_config", region, "c")
    assert endpoint_config.spec(row).capture == MEANT
    config(mill, "plain")
    row = gateway.verbs.describe("endpoint_config", region, "plain")
    assert endpoint_config.spec(row).capture is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"DestinationS3Uri": "https://example.com/b"}, "DestinationS3Uri must be an S3 URI"),
        ({"DestinationS3Uri": "s3://B!/a"}, "DestinationS3Uri must be an S3 URI"),
        (
            {
                "CaptureContentTypeHeader": {
                    "CsvContentTypes": ["text/csv"],
                    "JsonContentTypes": ["TEXT/csv"],
                }
            },
            "got ['text/csv'] in both lists",
        ),
        ({"InitialSamplingPercentage": 101}, "initialSamplingPercentage"),
        ({"CaptureOptions": []}, "captureOptions"),
        ({"CaptureOptions": [{"CaptureMode": "All"}]}, "captureMode"),
    ],
)
def test_what_cannot_work_is_refused(
    mill: Any, client: Callable[..., Any], wrong: dict[str, Any], said: str
) -> None:
    unchecked = client("sagemaker", parameter_validation=False)  # by boto3
    with refused(VALIDATION, said):
        config(unchecked, "c", DataCaptureConfig={**SENT, **wrong})


def test_an_endpoint_tells_its_capture(mill: Any, gateway: Gateway, region: str) -> None:
    config(mill, "c", DataCaptureConfig=SENT)
    mill.create_endpoint(EndpointName="mill", EndpointConfigName="c")
    assert told(mill) == {**TOLD, "CaptureStatus": "Stopped"}  # nothing serves yet
    stand(gateway, region, "InService")
    assert told(mill) == TOLD
    config(mill, "plain")
    mill.create_endpoint(EndpointName="plain", EndpointConfigName="plain")
    assert "DataCaptureConfig" not in mill.describe_endpoint(EndpointName="plain")


def test_a_capture_that_is_switched_off_is_told_as_stopped_and_reaches_no_router(
    mill: Any, gateway: Gateway, region: str
) -> None:
    config(mill, "c", DataCaptureConfig={**SENT, "EnableCapture": False})
    mill.create_endpoint(EndpointName="mill", EndpointConfigName="c")
    stand(gateway, region, "InService")
    assert told(mill) == {**TOLD, "EnableCapture": False, "CaptureStatus": "Stopped"}
    state = from_document(gateway.verbs.describe("endpoint", region, "mill").document["state"])
    assert state.capture == replace(MEANT, enabled=False)
    assert route("mill", region, state).capture is None


def test_a_capture_on_a_full_disk_is_told_as_stopped(
    mill: Any, gateway: Gateway, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config(mill, "c", DataCaptureConfig=SENT)
    mill.create_endpoint(EndpointName="mill", EndpointConfigName="c")
    stand(gateway, region, "InService")
    gateway.home.buckets.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("TIDEMILL_CAPTURE_LEAST_FREE", "1")
    assert told(mill) == {**TOLD, "CaptureStatus": "Stopped"}


@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("excluded", ["DesiredWeight", "DataCaptureConfig"])
def test_an_update_takes_its_config_s_capture_unless_told_to_keep_it(
    mill: Any, gateway: Gateway, region: str, retain: bool, excluded: str
) -> None:
    config(mill, "c", DataCaptureConfig=SENT)
    mill.create_endpoint(EndpointName="mill", EndpointConfigName="c")
    stand(gateway, region, "InService")
    config(mill, "next", DataCaptureConfig={**SENT, "InitialSamplingPercentage": 5})
    mill.update_endpoint(
        EndpointName="mill",
        EndpointConfigName="next",
        RetainAllVariantProperties=retain,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": excluded}],
    )
    assert told(mill) == TOLD  # until the new fleet serves
    kept = retain and excluded != "DataCaptureConfig"
    pending = gateway.verbs.describe("endpoint", region, "mill").document["state"]["pending"]
    assert pending["capture"]["percentage"] == (30 if kept else 5)
