"""Bodies that are too deep, too many, too large, or only strange, behind a good signature."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.attack import routes
from tests.attack.conftest import Town
from tests.attack.documents import document
from tests.attack.wire import Asking, exchange, once
from tidemill.gateway.services import SPOKEN, Spoken
from tidemill.gateway.wire.model import Operation

pytestmark = pytest.mark.slow

EACH = 12
"""Strange documents for each operation that is built."""
MOST_GROWTH = 256 << 20


def built() -> Iterator[tuple[Spoken, Operation]]:
    for spoken in SPOKEN:
        for name in sorted(spoken.handlers):
            operation = spoken.description().operation(name)
            if operation is not None:
                yield spoken, operation


def asked(spoken: Spoken, operation: Operation, said: object) -> Asking:
    """The document in the protocol of the service."""
    one = routes.call(spoken, operation, json.dumps(said).encode())
    if one.headers.get("content-type") == routes.FORM["content-type"]:
        fields = list(flat(said)) if isinstance(said, dict) else [("X", str(said))]
        return one.but(body=one.body + b"&" + urlencode(fields).encode())
    return one


def flat(said: object, name: str = "") -> Iterator[tuple[str, str]]:
    """As the query protocol spells it."""
    if isinstance(said, dict):
        for key, value in said.items():
            yield from flat(value, f"{name}.{key}" if name else key)
    elif isinstance(said, list):
        for number, value in enumerate(said, 1):
            yield from flat(value, f"{name}.member.{number}")
    else:
        yield name, str(said)


def check(town: Town, requests: dict[str, Asking]) -> None:
    """None of them may be answered by an error of ours."""
    wrong = {}
    pairs = [(one.method, one.signed()) for one in requests.values()]
    for name, answer in zip(requests, exchange(town.port, pairs, most=16), strict=True):
        if answer.status >= 500 or (answer.status >= 400 and not answer.code):
            wrong[name] = (answer.status, requests[name].body[:1500], answer.body[:300])
    assert wrong == {}
    town.lives()


@pytest.mark.parametrize("service", sorted({spoken.model for spoken in SPOKEN}))
def test_no_document_within_the_bounds_or_out_of_them_breaks_an_operation(
    service: str, town: Town
) -> None:
    found = {}
    for spoken, operation in built():
        if spoken.model == service and operation.input is not None:
            source = random.Random(operation.name)
            for number in range(EACH):
                said = document(operation.input, source)
                found[f"{operation.name}.{number}"] = asked(spoken, operation, said)
    check(town, found)


@pytest.mark.parametrize(
    "body",
    [
        b'{"Tags":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"Tags":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"HyperParameters":{"a":' * 5_000 + b"1" + b"}" * 10_000,
        b"[" * 1_000_000,
        b'{"Tags":[' + b",".join([b'{"Key":"k","Value":""}'] * 80_000) + b"]}",
        b'{"Tags":[' + b",".join([b"{}"] * 400_000) + b"]}",
        b"{" + b",".join(b'"K%d":1' % n for n in range(150_000)) + b"}",
        b'{"Tags":"' + b"x" * 2_000_000 + b'"}',
    ],
    ids=["lists", "maps", "named", "unclosed", "tags", "empties", "members", "text"],
)
def test_depth_and_number_are_bounded(body: bytes, town: Town) -> None:
    before = town.memory()
    check(
        town,
        {
            f"{spoken.model}.{operation.name}": routes.call(spoken, operation, body)
            for spoken, operation in built()
            if spoken.target and operation.name in MANY
        },
    )
    assert town.memory() - before < MOST_GROWTH


MANY = ("AddTags", "CreateTrainingJob", "CreateModel", "PutMetricData", "PutLogEvents")


def test_a_million_tags_are_refused_by_their_size(town: Town) -> None:
    before = town.memory()
    body = b'{"Tags":[' + b",".join([b'{"Key":"k","Value":"v"}'] * 1_000_000) + b"]}"
    for target in ("SageMaker.AddTags", "SageMaker.CreateModel"):
        answer = once(town.port, Asking(headers={"x-amz-target": target}, body=body).signed())
        assert (answer.status, answer.code) == (413, "RequestEntityTooLargeException")
    form = b"Action=AssumeRole&" + b"&".join(b"Tags.member.%d.Key=k" % n for n in range(1_000_000))
    for data in (form, form[:2_000_000]):
        one = routes.form("sts", "AssumeRole", "2011-06-15").but(body=data)
        assert once(town.port, one.signed()).status in (400, 413)
    tags = b"<Tagging><TagSet>" + b"<Tag><Key>k</Key><Value>v</Value></Tag>" * 1_000_000
    one = Asking("PUT", "/attacked/key", "tagging", body=tags, service="s3")
    assert 400 <= once(town.port, one.signed()).status < 500
    assert town.memory() - before < MOST_GROWTH
    town.lives()


@pytest.mark.parametrize("size", [1 << 20, 200 << 20])
def test_packed_bodies_are_unpacked_no_further_than_their_bound(size: int, town: Town) -> None:
    before = town.memory()
    bomb = gzip.compress(b" " * size)
    packed = {"content-encoding": "gzip", "x-amz-target": "GraniteServiceVersion20100801.Put"}
    for body in (bomb, bomb[:-5], bomb + bomb, gzip.compress(bomb)):
        for target in ("GraniteServiceVersion20100801.PutMetricData", "SageMaker.CreateModel"):
            service = "monitoring" if target.startswith("G") else "sagemaker"
            one = Asking(headers={**packed, "x-amz-target": target}, body=body, service=service)
            answer = once(town.port, one.signed())
            assert answer.status in (400, 413)
            assert answer.code
    assert town.memory() - before < MOST_GROWTH


def test_documents_of_buckets_are_bounded_in_depth_and_name_nothing_outside(town: Town) -> None:
    before = town.memory()
    once(town.port, Asking("PUT", "/deep", service="s3").signed())
    entity = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key>'
    laughs = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    for path, query in (
        ("/deep", "delete"),
        ("/deep/key", "tagging"),
        ("/deep/key", "uploadId=1"),
        ("/deeper", ""),
    ):
        method = "POST" if query in ("delete", "uploadId=1") else "PUT"
        for body in (
            b"<a>" * 10_000 + b"</a>" * 9_999,
            b"<a>" * 1_000_000,
            entity + b"</Object></Delete>",
            laughs + b"<Delete><Object><Key>&b;</Key></Object></Delete>",
            b"\x00",
            b"<?xml version='1.0' encoding='utf-16'?><a/>",
            b"<Delete>" + b"<Object><Key>k</Key></Object>" * 200_000 + b"</Delete>",
        ):
            answer = once(town.port, Asking(method, path, query, {}, body, service="s3").signed())
            assert 400 <= answer.status < 500, (path, query, body[:60], answer)
            assert answer.code
            assert b"root:" not in answer.body
    assert town.memory() - before < MOST_GROWTH // 4
    town.lives()
