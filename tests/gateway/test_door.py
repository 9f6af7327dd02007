"""Who gets in, and what those are told who do not."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.conftest import ACCOUNT, KEYS, Gateway
from tests.gateway.failing import Client, refused
from tidemill.gateway.wire.model import service

JSON = {"Content-Type": "application/x-amz-json-1.1"}


def send(
    gateway: Gateway,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    sign_for: str | None = "sagemaker",
) -> tuple[int, dict[str, str], bytes]:
    """One raw request, signed or not: (status, headers, body)."""
    request = AWSRequest(method, gateway.url + path, dict(headers or {}), body)
    if sign_for:
        pair = BotoCredentials(KEYS.access_key_id, KEYS.secret_access_key)
        SigV4Auth(pair, sign_for, "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=30)
    try:
        connection.request(method, path, body, dict(request.headers.items()))
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def call(gateway: Gateway, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
    headers = {**JSON, "X-Amz-Target": operation}
    status, _, answer = send(gateway, "POST", "/", body, headers)
    return status, json.loads(answer)


@pytest.mark.parametrize("path", ["/ping", "/health"])
def test_health_needs_no_signature(gateway: Gateway, path: str) -> None:
    assert send(gateway, "GET", path, sign_for=None)[0] == 200


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/", {**JSON, "X-Amz-Target": "SageMaker.ListModels"}, 400, "MissingAuthenticationToken"),
        ("/", {"Content-Type": "application/x-www-form-urlencoded"}, 403, "MissingAuth"),
        ("/endpoints/e/invocations", {}, 403, "MissingAuthenticationTokenException"),
        ("/bucket/key", {}, 403, "AccessDenied"),
        ("/ping?x=1", {}, 403, "AccessDenied"),
    ],
)
def test_nothing_else_is_answered_unsigned(
    gateway: Gateway, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    got, _, body = send(gateway, "POST", path, b"{}", headers, sign_for=None)
    assert got == status
    assert code in body.decode()


def test_a_wrong_secret_and_a_strange_key_are_told_apart(client: Client) -> None:
    with refused("InvalidSignatureException", "signature we calculated"):
        client("sagemaker", secret="wrong").list_models()
    with refused("UnrecognizedClientException", "security token included in the request is inv"):
        client("sagemaker", key="AKIDSTRANGER").list_models()
    with refused("SignatureDoesNotMatch", "", status=403):
        client("sts", secret="wrong").get_caller_identity()
    with refused("InvalidClientTokenId", "", status=403):
        client("sts", key="AKIDSTRANGER").get_caller_identity()
    with refused("InvalidAccessKeyId", "", status=403):
        client("s3", key="AKIDSTRANGER").list_buckets()
    with refused("SignatureDoesNotMatch", "", status=403):
        client("s3", secret="wrong").list_buckets()


def test_a_signature_for_one_service_is_none_for_another(gateway: Gateway) -> None:
    headers = {**JSON, "X-Amz-Target": "SageMaker.ListModels"}
    status, _, body = send(gateway, "POST", "/", b"{}", headers, sign_for="logs")
    assert status == 400
    assert "correct service: 'sagemaker'" in body.decode()


def test_an_operation_that_nobody_knows(gateway: Gateway) -> None:
    status, said = call(gateway, "SageMaker.BrewCoffee", b"{}")
    assert (status, said["__type"]) == (400, "UnknownOperationException")
    assert "BrewCoffee" in said["message"]


def test_every_operation_of_sagemaker_answers_or_says_that_it_is_not_supported(
    gateway: Gateway,
) -> None:
    for name in service("sagemaker").names:
        status, said = call(gateway, f"SageMaker.{name}", b"{}")
        if status == 501:
            assert said["__type"] == "UnsupportedOperation"
            assert name in said["message"]
        else:
            assert status in (200, 400), (name, said)


def test_a_service_that_is_not_spoken(gateway: Gateway) -> None:
    headers = {**JSON, "X-Amz-Target": "DynamoDB_20120810.ListTables"}
    status, _, body = send(gateway, "POST", "/", b"{}", headers, sign_for="dynamodb")
    assert status == 501
    assert "DynamoDB_20120810" in body.decode()
    status, _, body = send(gateway, "GET", "/2015-03-31/functions/", sign_for="lambda")
    assert status == 501
    assert "'lambda'" in body.decode()


def test_invocations_belong_to_the_router(gateway: Gateway) -> None:
    status, headers, _ = send(gateway, "POST", "/endpoints/e/invocations", b"1,2")
    assert (status, headers["x-amzn-errortype"]) == (404, "UnknownOperationException")


def test_errors_carry_their_code_twice_and_a_request_id(gateway: Gateway) -> None:
    headers = {**JSON, "X-Amz-Target": "SageMaker.DescribeModel"}
    status, told, body = send(gateway, "POST", "/", b'{"ModelName": "nobody"}', headers)
    assert status == 400
    assert told["x-amzn-errortype"] == json.loads(body)["__type"] == "ValidationException"
    assert len(told["x-amzn-requestid"]) == 36


def test_a_body_that_is_too_large_is_refused(gateway: Gateway) -> None:
    headers = {**JSON, "X-Amz-Target": "SageMaker.CreateModel"}
    status, _, body = send(gateway, "POST", "/", b" " * ((2 << 20) + 1), headers)
    assert status == 413
    assert json.loads(body)["__type"] == "RequestEntityTooLargeException"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b'"x"', b"\xff", b'{"a":' * 500 + b"1" + b"}" * 500]
)
def test_a_body_that_is_no_json_object_is_refused(gateway: Gateway, body: bytes) -> None:
    status, said = call(gateway, "SageMaker.CreateModel", body)
    assert status == 400
    assert said["__type"] in ("SerializationException", "ValidationException")


def test_a_body_nested_beyond_reading_is_refused(gateway: Gateway) -> None:
    deep = b'{"SearchExpression":' + b'{"SubExpressions":[' * 400 + b"]}" * 400 + b"}"
    with pytest.MonkeyPatch.context() as patch:
        from tidemill.gateway.resources import model
        from tidemill.gateway.services import SAGEMAKER

        patch.setitem(SAGEMAKER.handlers, "Search", model.OPERATIONS["ListModels"])
        status, said = call(gateway, "SageMaker.Search", deep)
    assert (status, said["__type"]) == (400, "SerializationException")


members = st.sampled_from(
    sorted(
        {
            name
            for operation in ("CreateTrainingJob", "CreateEndpointConfig", "ListTrainingJobs")
            for name in service("sagemaker").operation(operation).input.members
        }
    )
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=3),
    max_leaves=12,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(
        [
            "SageMaker.CreateTrainingJob",
            "SageMaker.CreateEndpointConfig",
            "SageMaker.ListTrainingJobs",
            "SageMaker.UpdateEndpointWeightsAndCapacities",
            "SageMaker.AddTags",
            "Logs_20140328.GetLogEvents",
        ]
    ),
    st.dictionaries(members, values, max_size=5),
)
def test_no_body_whatever_breaks_the_server(
    gateway: Gateway, operation: str, document: dict[str, Any]
) -> None:
    sign_for = "logs" if operation.startswith("Logs") else "sagemaker"
    headers = {**JSON, "X-Amz-Target": operation}
    body = json.dumps(document).encode()
    assert send(gateway, "POST", "/", body, headers, sign_for=sign_for)[0] < 500


def test_an_unforeseen_error_tells_the_client_nothing_of_its_insides(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("/secret/path")

    monkeypatch.setattr(type(gateway.verbs), "list", broken)
    status, said = call(gateway, "SageMaker.ListModels", b"{}")
    assert (status, said["__type"]) == (500, "InternalFailure")
    assert "secret" not in json.dumps(said)
    assert "/secret/path" in caplog.text


def test_the_caller_is_an_assumed_role(client: Client) -> None:
    told = client("sts").get_caller_identity()
    assert told["Account"] == ACCOUNT
    assert told["Arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/")


def test_every_role_exists_and_trusts_sagemaker(client: Client) -> None:
    iam = client("iam")
    role = iam.get_role(RoleName="anything")["Role"]
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/anything"
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    told = iam.simulate_principal_policy(
        PolicySourceArn=role["Arn"], ActionNames=["s3:GetObject", "s3:PutObject"]
    )
    assert [e["EvalDecision"] for e in told["EvaluationResults"]] == ["allowed", "allowed"]
    with refused("ValidationError", "Value null at 'roleName'"):
        send_role = {"Action": "GetRole", "Version": "2010-05-08"}
        iam.meta.events.register(
            "before-call.iam.GetRole", lambda params, **_: params.update(body=send_role)
        )
        iam.get_role(RoleName="x")


def test_other_query_operations_are_said_not_to_be_supported(client: Client) -> None:
    with refused("UnsupportedOperation", "CreateGroup", status=501):
        client("iam").create_group(GroupName="x")


def test_buckets_answer_behind_the_same_door(client: Client) -> None:
    s3 = client("s3", region="us-east-1")
    s3.create_bucket(Bucket="door")
    s3.put_object(Bucket="door", Key="a b/ü+~(x)", Body=b"hello")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "door", "Key": "a b/ü+~(x)"})
    assert "AWSAccessKeyId" in url
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request("GET", f"{parts.path}?{parts.query}")
    assert connection.getresponse().read() == b"hello"
    connection.close()
