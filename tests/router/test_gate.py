"""Keys of users and sessions at the endpoints: known at once, allowed what their policies say."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.router import stand_in
from tests.router.stand_in import ACCOUNT, REGION, SECRET, Platform
from tidemill.auth.session import Grant, mint

ONE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/one"


def write(platform: Platform, *statements: dict[str, object]) -> None:
    """The directory, with one user, ada, as the gateway writes it."""
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    ada = {
        "arn": f"arn:aws:iam::{ACCOUNT}:user/ada",
        "id": "AIDA",
        "policies": [policy] if statements else [],
        "boundary": "",
    }
    found = {"keys": {"AKIAADA": {"secret": "hers", "user": "ada"}}, "users": {"ada": ada}}
    temporary = platform.home.access.with_suffix(".new")
    temporary.write_text(json.dumps({**found, "roles": {}}))
    temporary.replace(platform.home.access)


def ask(
    platform: Platform,
    pair: Credentials,
    endpoint: str = "one",
    way: str = "invocations",
) -> tuple[int, str]:
    """Status, and the error's code."""
    url = f"http://127.0.0.1:{platform.port}/endpoints/{endpoint}/{way}"
    request = AWSRequest("POST", url, {}, b"1")
    SigV4Auth(pair, "sagemaker", REGION).add_auth(request)
    connection = HTTPConnection("127.0.0.1", platform.port, timeout=20)
    try:
        path = f"/endpoints/{endpoint}/{way}"
        connection.request("POST", path, b"1", dict(request.headers.items()))
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("x-amzn-errortype", "")
    finally:
        connection.close()


@pytest.fixture
def endpoints(platform: Platform) -> object:
    one, two = platform.replica("one"), platform.replica("two")
    platform.routes(stand_in.route("one", one), stand_in.route("two", two))
    yield
    one.kill()
    two.kill()


ADA = Credentials("AKIAADA", "hers")
ADMINISTRATOR = Credentials(stand_in.KEY, SECRET)


@pytest.mark.usefixtures("endpoints")
def test_a_user_asks_the_endpoints_that_its_policies_name(platform: Platform) -> None:
    write(platform, {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": ONE})
    assert ask(platform, ADA) == (200, "")  # a key that has just been made is known
    assert ask(platform, ADA, "two") == (403, "AccessDeniedException")
    way = "invocations-response-stream"
    assert ask(platform, ADA, way=way) == (403, "AccessDeniedException")
    wrong = Credentials("AKIAADA", "not hers")
    assert ask(platform, wrong) == (403, "InvalidSignatureException")
    assert ask(platform, ADMINISTRATOR, "two") == (200, "")


@pytest.mark.usefixtures("endpoints")
def test_what_changes_holds_within_a_moment(platform: Platform) -> None:
    write(platform, {"Effect": "Allow", "Action": "*", "Resource": "*"})
    assert ask(platform, ADA)[0] == 200
    write(platform)
    stand_in.wait_until(lambda: ask(platform, ADA) == (403, "AccessDeniedException"), 5)
    platform.home.access.write_text(json.dumps({"keys": {}, "users": {}, "roles": {}}))
    stand_in.wait_until(lambda: ask(platform, ADA) == (403, "UnrecognizedClientException"), 5)
    assert ask(platform, ADMINISTRATOR)[0] == 200


@pytest.mark.usefixtures("endpoints")
def test_sessions_are_known_by_their_tokens(platform: Platform) -> None:
    write(platform, {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": ONE})
    until = time.time() + 60

    def session(*grant: str, until: float = until) -> Credentials:
        key, kind, name, id = grant
        secret, token = mint(Grant(key, kind, name, id, "s", until), SECRET)
        return Credentials(key, secret, token)

    stand_in.wait_until(lambda: ask(platform, ADA)[0] == 200, 5)
    assert ask(platform, session("ASIA1", "user", "ada", "AIDA")) == (200, "")
    assert ask(platform, session("ASIA1", "user", "ada", "AIDA"), "two")[0] == 403
    assert ask(platform, session("ASIA2", "root", "", ""), "two") == (200, "")
    gone = session("ASIA3", "user", "ada", "AIDA-before")
    assert ask(platform, gone) == (403, "UnrecognizedClientException")
    late = session("ASIA4", "user", "ada", "AIDA", until=time.time() - 1)
    assert ask(platform, late) == (403, "ExpiredTokenException")
    forged = Credentials("ASIA5", "x", session("ASIA1", "root", "", "").token + "x")
    assert ask(platform, forged) == (403, "UnrecognizedClientException")
