"""Keys for a time: what they may do, and when they are over."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.conftest import ACCOUNT, KEYS
from tests.gateway.failing import refused
from tests.gateway.iam.conftest import Client, allow, document, user
from tidemill.auth.session import Grant, mint

ROLE = f"arn:aws:iam::{ACCOUNT}:role/miller"


def trust(*principals: str) -> str:
    one = {"Effect": "Allow", "Principal": {"AWS": list(principals)}, "Action": "sts:AssumeRole"}
    return document(one)


def make_role(aws: Client, trusted: str, *statements: dict[str, Any]) -> None:
    iam = aws("iam")
    iam.create_role(RoleName="miller", AssumeRolePolicyDocument=trust(trusted))
    iam.put_role_policy(RoleName="miller", PolicyName="p", PolicyDocument=document(*statements))


def test_a_role_that_nobody_made_is_taken_by_the_administrator(aws: Client) -> None:
    told = aws("sts").assume_role(RoleArn=ROLE, RoleSessionName="night")
    assert told["AssumedRoleUser"]["Arn"].endswith("assumed-role/miller/night")
    keys = told["Credentials"]
    aws("sagemaker", keys).list_models()
    assert aws("sts", keys).get_caller_identity()["Arn"].endswith("assumed-role/miller/night")
    s3 = aws("s3", keys)
    s3.create_bucket(Bucket="mill")
    s3.put_object(Bucket="mill", Key="k", Body=b"x" * 100_000)
    assert s3.get_object(Bucket="mill", Key="k")["ContentLength"] == 100_000


def test_a_session_may_what_its_role_may(aws: Client) -> None:
    make_role(aws, f"arn:aws:iam::{ACCOUNT}:user/ada", allow("sagemaker:List*"))
    ada, bob = user(aws, "ada"), user(aws, "bob", allow("sts:AssumeRole"))
    with refused("AccessDenied", "is not authorized to perform: sts:AssumeRole", status=403):
        aws("sts", bob).assume_role(RoleArn=ROLE, RoleSessionName="night")
    keys = aws("sts", ada).assume_role(RoleArn=ROLE, RoleSessionName="night")["Credentials"]
    mine = aws("sagemaker", keys)
    mine.list_models()
    with refused("AccessDeniedException", "assumed-role/miller/night is not authorized"):
        mine.describe_model(ModelName="m")
    aws("iam").delete_role_policy(RoleName="miller", PolicyName="p")
    with refused("AccessDeniedException", ""):
        mine.list_models()
    aws("iam").delete_role(RoleName="miller")
    with refused("UnrecognizedClientException", ""):
        mine.list_models()
    make_role(aws, f"arn:aws:iam::{ACCOUNT}:user/ada", allow("*"))
    with refused("UnrecognizedClientException", ""):  # another role, of the same name
        mine.list_models()


def test_who_is_trusted_as_one_of_the_account_needs_a_policy_of_its_own(aws: Client) -> None:
    make_role(aws, f"arn:aws:iam::{ACCOUNT}:root", allow("sagemaker:*"))
    ada, bob = user(aws, "ada"), user(aws, "bob", allow("sts:AssumeRole", on=ROLE))
    with refused("AccessDenied", "", status=403):
        aws("sts", ada).assume_role(RoleArn=ROLE, RoleSessionName="night")
    aws("sts", bob).assume_role(RoleArn=ROLE, RoleSessionName="night")


def test_a_session_can_be_narrowed(aws: Client) -> None:
    make_role(aws, f"arn:aws:iam::{ACCOUNT}:root", allow("sagemaker:*"))
    told = aws("sts").assume_role(
        RoleArn=ROLE,
        RoleSessionName="night",
        Policy=document(allow("sagemaker:ListModels", "s3:*")),
    )
    mine = told["Credentials"]
    aws("sagemaker", mine).list_models()
    with refused("AccessDeniedException", ""):
        aws("sagemaker", mine).list_endpoints()
    with refused("AccessDenied", "", status=403):
        aws("s3", mine).list_buckets()


def test_a_session_ends(aws: Client) -> None:
    grant = Grant("ASIAOLD", "root", "", "", "", 1000.0)
    secret, token = mint(grant, KEYS.secret_access_key)
    keys = {"AccessKeyId": "ASIAOLD", "SecretAccessKey": secret, "SessionToken": token}
    with refused("ExpiredTokenException", "expired"):
        aws("sagemaker", keys).list_models()
    with refused("ExpiredToken", "expired"):
        aws("s3", keys).list_buckets()


def test_a_token_is_good_with_its_own_keys_alone(aws: Client) -> None:
    one, two = (aws("sts").get_session_token()["Credentials"] for _ in range(2))
    aws("sagemaker", one).list_models()
    for wrong in (
        {**one, "SessionToken": two["SessionToken"]},
        {**one, "SessionToken": None},
        {**one, "SessionToken": "forged"},
        {**one, "AccessKeyId": KEYS.access_key_id},
    ):
        with refused("UnrecognizedClientException", ""):
            aws("sagemaker", wrong).list_models()
    with refused("InvalidSignatureException", ""):
        aws("sagemaker", {**one, "SecretAccessKey": two["SecretAccessKey"]}).list_models()


def test_a_users_session_may_what_the_user_may(aws: Client) -> None:
    ada = user(aws, "ada", allow("sagemaker:ListModels"))
    keys = aws("sts", ada).get_session_token(DurationSeconds=900)["Credentials"]
    assert aws("sts", keys).get_caller_identity()["Arn"].endswith("user/ada")
    aws("sagemaker", keys).list_models()
    with refused("AccessDeniedException", ""):
        aws("sagemaker", keys).list_endpoints()


@pytest.mark.parametrize("service", ["s3"])
def test_presigned_urls_of_a_session_work(service: str, aws: Client) -> None:
    import urllib.request

    keys = aws("sts").get_session_token()["Credentials"]
    s3 = aws(service, keys)
    s3.create_bucket(Bucket="mill")
    s3.put_object(Bucket="mill", Key="k", Body=b"hello")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "mill", "Key": "k"})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"hello"
