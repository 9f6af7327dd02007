"""What policies decide: laws that hold of all of them, and what IAM documents of each element."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.auth.managed import MANAGED
from tidemill.auth.policy import Asked, Policy, decide, parse, trusts
from tidemill.auth.wildcard import matches
from tidemill.errors import Invalid

ARN = "arn:aws:s3:::mill/"


def policy(*statements: dict[str, Any]) -> Policy:
    return parse(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def allow(action: object, resource: object = "*", **more: object) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: object, resource: object = "*", **more: object) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


letters = st.text("ab:*?", max_size=8)


@given(letters, st.text("ab:", max_size=10))
def test_wildcards_match_what_the_same_expression_does(pattern: str, text: str) -> None:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    assert matches(pattern, text) is (re.fullmatch(expression, text) is not None)


def test_no_pattern_takes_long() -> None:
    assert not matches("*a" * 1000 + "b", "a" * 20_000)
    assert not matches("?*" * 1000 + "b", "a" * 5_000)


words = st.sampled_from(["*", "s3:*", "s3:Get*", "s3:GetObject", "s3:PutObject", "logs:?et*"])
places = st.sampled_from(["*", ARN + "*", ARN + "a", ARN + "b*", "arn:aws:s3:::other/*"])
conditions = st.sampled_from(
    [
        {},
        {"StringEquals": {"aws:username": "ada"}},
        {"StringNotLike": {"aws:username": "a*"}},
        {"Bool": {"aws:SecureTransport": "false"}},
    ]
)
statements = st.builds(
    lambda effect, action, resource, condition, negated: {
        "Effect": effect,
        "NotAction" if negated else "Action": action,
        "Resource": resource,
        "Condition": condition,
    },
    st.sampled_from(["Allow", "Deny"]),
    words | st.lists(words, min_size=1, max_size=3),
    places,
    conditions,
    st.booleans(),
)
policies = st.lists(st.lists(statements, min_size=1, max_size=4), max_size=4)
asked = st.builds(
    Asked,
    st.sampled_from(["s3:GetObject", "s3:PutObject", "logs:GetLogEvents"]),
    st.sampled_from(["*", ARN + "a", ARN + "bb"]),
    st.sampled_from([{}, {"aws:username": "ada"}, {"aws:securetransport": "false"}]),
)
RANK = {"explicitDeny": 0, "implicitDeny": 1, "allowed": 2}


def read(of: list[list[dict[str, Any]]]) -> list[Policy]:
    return [policy(*one) for one in of]


@given(policies, asked, st.randoms(use_true_random=False))
def test_the_order_of_policies_and_statements_changes_nothing(
    of: list[list[dict[str, Any]]], one: Asked, source: Any
) -> None:
    other = [source.sample(statements, len(statements)) for statements in of]
    source.shuffle(other)
    assert decide(read(of), one) == decide(read(other), one)


@given(policies, statements, asked)
def test_a_deny_never_gives_and_an_allow_never_takes(
    of: list[list[dict[str, Any]]], more: dict[str, Any], one: Asked
) -> None:
    before = decide(read(of), one)
    after = decide(read([*of, [more]]), one)
    if more["Effect"] == "Deny":
        assert RANK[after] <= RANK[before]
    else:
        assert RANK[after] >= RANK[before]
        assert before != "explicitDeny" or after == "explicitDeny"


@given(policies, policies, asked)
def test_a_limit_only_narrows(
    of: list[list[dict[str, Any]]], limit: list[list[dict[str, Any]]], one: Asked
) -> None:
    free, limited = decide(read(of), one), decide(read(of), one, [read(limit)])
    assert RANK[limited] <= RANK[free]
    both = {free, decide(read(limit), one)}
    assert (limited == "allowed") is (both == {"allowed"})


@given(policies, asked)
def test_a_deny_of_everything_wins_and_nothing_is_nothing(
    of: list[list[dict[str, Any]]], one: Asked
) -> None:
    assert decide([*read(of), policy(deny("*"))], one) == "explicitDeny"
    assert decide([], one) == "implicitDeny"
    assert decide([policy(allow("*"))], one) == "allowed"


def test_actions_know_no_case_and_resources_do() -> None:
    mine = [policy(allow("S3:getobject", ARN + "Key"))]
    assert decide(mine, Asked("s3:GetObject", ARN + "Key")) == "allowed"
    assert decide(mine, Asked("s3:GetObject", ARN + "key")) == "implicitDeny"


def test_all_but_some() -> None:
    mine = [
        policy({"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::secret/*"})
    ]
    assert decide(mine, Asked("s3:GetObject", ARN + "a")) == "allowed"
    assert decide(mine, Asked("iam:CreateUser")) == "implicitDeny"
    assert decide(mine, Asked("s3:GetObject", "arn:aws:s3:::secret/a")) == "implicitDeny"


def test_variables_stand_for_the_caller_and_are_no_patterns() -> None:
    mine = [policy(allow("s3:*", ARN + "home/${aws:username}/*"))]

    def said(key: str, **context: str) -> str:
        known = {f"aws:{name}": value for name, value in context.items()}
        return decide(mine, Asked("s3:GetObject", ARN + key, known))

    assert said("home/ada/x", username="ada") == "allowed"
    assert said("home/bob/x", username="ada") == "implicitDeny"
    assert said("home/bob/x", username="*") == "implicitDeny"
    assert said("home//x") == "implicitDeny"


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"a:k": ["x", "y"]}}, {"a:k": "y"}, True),
        ({"StringEquals": {"a:k": "x"}}, {}, False),
        ({"StringEqualsIfExists": {"a:k": "x"}}, {}, True),
        ({"StringNotEquals": {"a:k": ["x", "y"]}}, {"a:k": "y"}, False),
        ({"StringNotEquals": {"a:k": "x"}}, {}, True),
        ({"StringEqualsIgnoreCase": {"a:k": "X"}}, {"a:k": "x"}, True),
        ({"StringLike": {"a:k": "in/*"}}, {"a:k": "in/x"}, True),
        ({"StringNotLike": {"a:k": "in/*"}}, {"a:k": "in/x"}, False),
        ({"ArnLike": {"a:k": "arn:aws:iam::*:role/m*"}}, {"a:k": "arn:aws:iam::1:role/me"}, True),
        ({"ArnLike": {"a:k": "arn:*"}}, {"a:k": "arn:aws:iam::1:role/me"}, False),
        ({"ArnNotLike": {"a:k": "arn:aws:iam::1:user/*"}}, {"a:k": "arn:aws:iam::1:role/m"}, True),
        ({"Bool": {"a:k": True}}, {"a:k": "true"}, True),
        ({"Bool": {"a:k": "false"}}, {"a:k": "true"}, False),
        ({"Null": {"a:k": "true"}}, {}, True),
        ({"Null": {"a:k": "false"}}, {}, False),
        ({"NumericLessThanEquals": {"a:k": 10}}, {"a:k": "10"}, True),
        ({"NumericLessThan": {"a:k": "x"}}, {"a:k": "1"}, False),
        ({"DateLessThan": {"a:k": "2030-01-01T00:00:00Z"}}, {"a:k": "2026-01-01T00:00:00Z"}, True),
        ({"DateGreaterThan": {"a:k": "2030-01-01T00:00:00Z"}}, {"a:k": "1"}, False),
        ({"StringEquals": {"a:k": "x", "a:l": "y"}}, {"a:k": "x"}, False),
    ],
)
def test_a_condition_holds_as_documented(
    condition: dict[str, Any], context: dict[str, str], holds: bool
) -> None:
    mine = [policy(allow("*", Condition=condition))]
    assert (decide(mine, Asked("s3:GetObject", "*", context)) == "allowed") is holds


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "{}",
        '{"Statement": []}',
        '{"Statement": [1]}',
        '{"Version": "2020-01-01", "Statement": {}}',
        '{"Statement": {"Effect": "Maybe", "Action": "*", "Resource": "*"}}',
        '{"Statement": {"Effect": "Allow", "Action": "*"}}',
        '{"Statement": {"Effect": "Allow", "Resource": "*"}}',
        '{"Statement": {"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}}',
        '{"Statement": {"Effect": "Allow", "Action": "GetObject", "Resource": "*"}}',
        '{"Statement": {"Effect": "Allow", "Action": {}, "Resource": "*"}}',
        '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}}',
        '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": 1}}',
        '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", '
        '"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}}',
        '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Extra": 1}}',
        "[" * 100_000,
        '{"Statement": ' + "[" * 100_000,
        '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "%s"}}' % ("x" * 200_000),
    ],
)
def test_a_document_that_is_not_understood_is_refused(document: str) -> None:
    with pytest.raises(Invalid):
        parse(document)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from(["Allow", "*", "s3:*", "x"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["Version", "Statement", "Effect", "Action", "Resource", "Condition", "Bool"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_policy_or_refused(document: Any) -> None:
    for trust in (False, True):
        with suppress(Invalid):
            parse(json.dumps(document), trust=trust)


def test_who_is_trusted() -> None:
    def trust(**principal: object) -> Policy:
        one = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        return parse(json.dumps({"Statement": one}), trust=True)

    ada, asked = "AWS:arn:aws:iam::123456789012:user/ada", Asked("sts:AssumeRole")
    assert trusts(trust(AWS="arn:aws:iam::123456789012:user/ada"), ada, asked)
    assert trusts(trust(AWS="arn:aws:iam::123456789012:root"), ada, asked)
    assert trusts(trust(AWS=["123456789012"]), ada, asked)
    assert not trusts(trust(AWS="arn:aws:iam::999999999999:root"), ada, asked)
    assert not trusts(trust(AWS="arn:aws:iam::123456789012:user/bob"), ada, asked)
    assert not trusts(trust(Service="sagemaker.amazonaws.com"), ada, asked)
    assert trusts(
        trust(Service="sagemaker.amazonaws.com"), "Service:sagemaker.amazonaws.com", asked
    )


def test_the_policies_kept_by_aws_are_policies() -> None:
    read = {name: parse(document) for name, document in MANAGED.items()}
    full = read["arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"]
    assert decide([full], Asked("sagemaker:CreateTrainingJob", "*")) == "allowed"
    assert decide([full], Asked("s3:GetObject", "arn:aws:s3:::private/x")) == "implicitDeny"
    assert decide([full], Asked("iam:CreateUser")) == "implicitDeny"
