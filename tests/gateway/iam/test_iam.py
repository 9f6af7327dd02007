"""Users, roles, keys and policies: kept as AWS keeps them, and really asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.gateway.conftest import ACCOUNT, KEYS
from tests.gateway.failing import refused
from tests.gateway.iam.conftest import Client, allow, deny, document, user
from tidemill.spec.home import Home

TRUST = document(
    {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
)
MODEL = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/"
IMAGE = "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1"


def model(name: str, **more: Any) -> dict[str, Any]:
    role = f"arn:aws:iam::{ACCOUNT}:role/any"
    container = {"Image": IMAGE, "ModelDataUrl": "s3://mill/model.tar.gz"}
    return {"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": role, **more}


def test_a_user_may_do_what_its_policies_say_and_nothing_else(aws: Client) -> None:
    keys = user(
        aws, "ada", allow("sagemaker:CreateModel", on=MODEL + "ada-*"), allow("iam:PassRole")
    )
    mine = aws("sagemaker", keys)
    assert mine.create_model(**model("ada-1"))["ModelArn"] == MODEL + "ada-1"
    with refused("AccessDeniedException", f"User: arn:aws:iam::{ACCOUNT}:user/ada is not author"):
        mine.create_model(**model("bob-1"))
    with refused(
        "AccessDeniedException",
        "sagemaker:ListModels because no identity-based policy allows the sagemaker:ListModels",
    ):
        mine.list_models()
    assert [m["ModelName"] for m in aws("sagemaker").list_models()["Models"]] == ["ada-1"]


def test_an_explicit_deny_wins(aws: Client) -> None:
    keys = user(aws, "ada", allow("*"), deny("sagemaker:DeleteModel", on=MODEL + "kept"))
    mine = aws("sagemaker", keys)
    mine.create_model(**model("kept"))
    with refused("AccessDeniedException", "with an explicit deny in an identity-based policy"):
        mine.delete_model(ModelName="kept")
    mine.create_model(**model("other"))
    mine.delete_model(ModelName="other")


def test_a_role_is_passed_only_by_who_may(aws: Client) -> None:
    keys = user(aws, "ada", allow("sagemaker:*"))
    with refused("AccessDeniedException", "iam:PassRole on resource"):
        aws("sagemaker", keys).create_model(**model("m"))


def test_policies_change_at_once(aws: Client) -> None:
    iam, keys = aws("iam"), user(aws, "ada")
    mine = aws("sagemaker", keys)
    with refused("AccessDeniedException", ""):
        mine.list_models()
    full = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
    iam.attach_user_policy(UserName="ada", PolicyArn=full)
    assert mine.list_models()["Models"] == []
    iam.detach_user_policy(UserName="ada", PolicyArn=full)
    with refused("AccessDeniedException", ""):
        mine.list_models()
    made = iam.create_policy(PolicyName="p", PolicyDocument=document(allow("sagemaker:List*")))
    arn = made["Policy"]["Arn"]
    iam.attach_user_policy(UserName="ada", PolicyArn=arn)
    mine.list_models()
    none = document(deny("sagemaker:*"))
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=none, SetAsDefault=True)
    with refused("AccessDeniedException", "explicit deny"):
        mine.list_models()
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    mine.list_models()


def test_keys_are_told_once_and_can_be_put_out_of_use(aws: Client, home: Home) -> None:
    iam, keys = aws("iam"), user(aws, "ada", allow("sagemaker:*"))
    secret, id = keys["SecretAccessKey"], keys["AccessKeyId"]
    told = [
        iam.list_access_keys(UserName="ada"),
        iam.get_user(UserName="ada"),
        iam.list_users(),
        iam.list_user_policies(UserName="ada"),
    ]
    assert secret not in json.dumps(told, default=str)
    assert home.access.stat().st_mode & 0o077 == 0
    mine = aws("sagemaker", keys)
    mine.list_models()
    iam.update_access_key(UserName="ada", AccessKeyId=id, Status="Inactive")
    with refused("UnrecognizedClientException", ""):
        mine.list_models()
    iam.update_access_key(UserName="ada", AccessKeyId=id, Status="Active")
    mine.list_models()
    iam.delete_access_key(UserName="ada", AccessKeyId=id)
    with refused("UnrecognizedClientException", ""):
        mine.list_models()
    iam.create_access_key(UserName="ada")
    iam.create_access_key(UserName="ada")
    with refused("LimitExceeded", "", status=409):
        iam.create_access_key(UserName="ada")


def test_buckets_and_objects_are_guarded(aws: Client) -> None:
    s3 = aws("s3")
    for name in ("mine", "theirs"):
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="in/a", Body=b"a")
        s3.put_object(Bucket=name, Key="secret/b", Body=b"b")
    keys = user(
        aws,
        "ada",
        allow("s3:*Object", on="arn:aws:s3:::mine/*"),
        allow(
            "s3:ListBucket",
            on="arn:aws:s3:::mine",
            Condition={"StringLike": {"s3:prefix": "in/*"}},
        ),
        deny("s3:*", on="arn:aws:s3:::mine/secret/*"),
    )
    own = aws("s3", keys)
    assert own.get_object(Bucket="mine", Key="in/a")["Body"].read() == b"a"
    own.put_object(Bucket="mine", Key="in/c", Body=b"c" * 9_000_000)
    assert own.list_objects_v2(Bucket="mine", Prefix="in/")["KeyCount"] == 2
    denied = [
        lambda: own.list_objects_v2(Bucket="mine"),
        lambda: own.list_buckets(),
        lambda: own.get_object(Bucket="mine", Key="secret/b"),
        lambda: own.get_object(Bucket="theirs", Key="in/a"),
        lambda: own.put_object(Bucket="theirs", Key="x", Body=b""),
        lambda: own.delete_bucket(Bucket="mine"),
        lambda: own.get_bucket_versioning(Bucket="mine"),
        lambda: own.copy_object(Bucket="mine", Key="in/d", CopySource="theirs/in/a"),
        lambda: own.copy_object(Bucket="mine", Key="in/d", CopySource="mine/secret/b"),
    ]
    for attempt in denied:
        with refused("AccessDenied", "is not authorized to perform: s3:", status=403):
            attempt()
    own.copy_object(Bucket="mine", Key="in/d", CopySource="mine/in/a")
    gone = own.delete_objects(
        Bucket="mine", Delete={"Objects": [{"Key": "in/d"}, {"Key": "secret/b"}]}
    )
    assert [one["Key"] for one in gone["Deleted"]] == ["in/d"]
    assert [(one["Key"], one["Code"]) for one in gone["Errors"]] == [("secret/b", "AccessDenied")]
    assert s3.get_object(Bucket="mine", Key="secret/b")["Body"].read() == b"b"


def test_the_way_to_more_rights_is_guarded_too(aws: Client) -> None:
    keys = user(aws, "ada", allow("iam:CreateAccessKey", on="arn:aws:iam::*:user/ada"))
    own = aws("iam", keys)
    own.create_access_key()
    aws("iam").create_user(UserName="bob")
    for attempt in (
        lambda: own.create_access_key(UserName="bob"),
        lambda: own.create_user(UserName="eve"),
        lambda: own.put_user_policy(
            UserName="ada", PolicyName="own", PolicyDocument=document(allow("*"))
        ),
        lambda: own.attach_user_policy(
            UserName="ada", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
        ),
    ):
        with refused("AccessDenied", "is not authorized to perform: iam:", status=403):
            attempt()


def test_a_boundary_narrows(aws: Client) -> None:
    iam = aws("iam")
    made = iam.create_policy(PolicyName="b", PolicyDocument=document(allow("logs:*")))
    arn = made["Policy"]["Arn"]
    iam.create_user(UserName="ada", PermissionsBoundary=arn)
    iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=document(allow("*")))
    keys = iam.create_access_key(UserName="ada")["AccessKey"]
    aws("logs", keys).describe_log_groups()
    with refused("AccessDeniedException", ""):
        aws("sagemaker", keys).list_models()
    with refused("DeleteConflict", "", status=409):
        iam.delete_policy(PolicyArn=arn)
    with refused("NoSuchEntity", "", status=404):
        iam.create_user(UserName="eve", PermissionsBoundary=arn + "x")


def test_entities_are_kept_as_aws_keeps_them(aws: Client) -> None:
    iam = aws("iam")
    iam.create_user(UserName="ada", Path="/team/", Tags=[{"Key": "k", "Value": "v"}])
    told = iam.get_user(UserName="ada")["User"]
    assert told["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/ada"
    assert told["Tags"] == [{"Key": "k", "Value": "v"}]
    with refused("EntityAlreadyExists", "User with name ada already exists.", status=409):
        iam.create_user(UserName="ada")
    with refused("NoSuchEntity", "The user with name eve cannot be found.", status=404):
        iam.get_user(UserName="eve")
    with refused("MalformedPolicyDocument", "Policy statement must contain"):
        iam.put_user_policy(
            UserName="ada",
            PolicyName="p",
            PolicyDocument='{"Statement": {"Effect": "Allow", "Action": "*"}}',
        )
    iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=document(allow("s3:*")))
    kept = iam.get_user_policy(UserName="ada", PolicyName="p")["PolicyDocument"]
    assert kept["Statement"] == [allow("s3:*")]
    with refused("DeleteConflict", "must delete policies first", status=409):
        iam.delete_user(UserName="ada")
    iam.delete_user_policy(UserName="ada", PolicyName="p")
    iam.delete_user(UserName="ada")
    for number in range(5):
        iam.create_user(UserName=f"u{number}")
    pages = iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2})
    names = [user["UserName"] for page in pages for user in page["Users"]]
    assert names == [f"u{number}" for number in range(5)]
    assert iam.get_user()["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_roles_are_any_until_one_is_made(aws: Client) -> None:
    iam = aws("iam")
    assert iam.get_role(RoleName="any")["Role"]["RoleName"] == "any"
    made = iam.create_role(RoleName="real", AssumeRolePolicyDocument=TRUST, Description="d")
    assert made["Role"]["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert iam.get_role(RoleName="real")["Role"]["Description"] == "d"
    with refused("NoSuchEntity", "The role with name any cannot be found.", status=404):
        iam.get_role(RoleName="any")
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["real"]
    iam.attach_role_policy(RoleName="real", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    attached = iam.list_attached_role_policies(RoleName="real")["AttachedPolicies"]
    assert attached[0]["PolicyName"] == "ReadOnlyAccess"
    with refused("DeleteConflict", "must detach all policies first", status=409):
        iam.delete_role(RoleName="real")
    iam.detach_role_policy(RoleName="real", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    iam.delete_role(RoleName="real")


def test_simulations_are_answered_by_what_decides(aws: Client) -> None:
    iam = aws("iam")
    role = f"arn:aws:iam::{ACCOUNT}:role/real"

    def told(source: str, *actions: str, **more: Any) -> list[str]:
        found = iam.simulate_principal_policy(
            PolicySourceArn=source, ActionNames=list(actions), **more
        )
        return [one["EvalDecision"] for one in found["EvaluationResults"]]

    assert told(role, "sagemaker:CreateModel") == ["allowed"]
    iam.create_role(RoleName="real", AssumeRolePolicyDocument=TRUST)
    policy = document(allow("sagemaker:*"), deny("sagemaker:Delete*"))
    iam.put_role_policy(RoleName="real", PolicyName="p", PolicyDocument=policy)
    actions = ("sagemaker:CreateModel", "sagemaker:DeleteModel", "s3:GetObject")
    assert told(role, *actions) == ["allowed", "explicitDeny", "implicitDeny"]
    with refused("NoSuchEntity", "", status=404):
        told(f"arn:aws:iam::{ACCOUNT}:role/other", "s3:GetObject")
    only = document(allow("s3:*", Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}))
    entry = {
        "ContextKeyName": "aws:RequestedRegion",
        "ContextKeyValues": ["eu-west-1"],
        "ContextKeyType": "string",
    }
    for entries, verdict in (([], "implicitDeny"), ([entry], "allowed")):
        found = iam.simulate_custom_policy(
            PolicyInputList=[only], ActionNames=["s3:GetObject"], ContextEntries=entries
        )
        assert found["EvaluationResults"][0]["EvalDecision"] == verdict


def test_the_administrator_stays_what_it_was(aws: Client) -> None:
    user(aws, "ada")
    told = aws("sts").get_caller_identity()
    assert told["Arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/")
    aws("sagemaker", {**_root(), "SessionToken": "of something else"}).list_models()


def _root() -> dict[str, str]:
    return {"AccessKeyId": KEYS.access_key_id, "SecretAccessKey": KEYS.secret_access_key}


@pytest.mark.parametrize("service", ["sagemaker", "logs", "cloudwatch", "application-autoscaling"])
def test_a_user_without_policies_may_nothing(service: str, aws: Client) -> None:
    one = aws(service, user(aws, "ada"))
    calls = {
        "sagemaker": lambda: one.describe_model(ModelName="m"),
        "logs": lambda: one.get_log_events(logGroupName="g", logStreamName="s"),
        "cloudwatch": lambda: one.list_metrics(),
        "application-autoscaling": lambda: one.describe_scalable_targets(
            ServiceNamespace="sagemaker"
        ),
    }
    with refused("AccessDeniedException", "is not authorized to perform: "):
        calls[service]()
