"""Everything that botocore signs is believed; anything changed afterwards is not."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from botocore.auth import (
    HmacV1QueryAuth,
    S3SigV4Auth,
    S3SigV4QueryAuth,
    SigV4Auth,
    SigV4QueryAuth,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.auth.signing import CREDENTIALS, KEY, Sent, sign
from tidemill.auth.refusal import (
    Expired,
    MalformedSignature,
    MissingSignature,
    Refusal,
    UnknownKey,
    UnsignedHeader,
    WrongPayload,
    WrongSignature,
    WrongTime,
)
from tidemill.errors import Denied

TARGET = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}


def sagemaker() -> SigV4Auth:
    return SigV4Auth(CREDENTIALS, "sagemaker", "eu-west-1")


def s3() -> S3SigV4Auth:
    return S3SigV4Auth(CREDENTIALS, "s3", "us-east-1")


def presigner(seconds: int = 60) -> S3SigV4QueryAuth:
    return S3SigV4QueryAuth(CREDENTIALS, "s3", "us-east-1", expires=seconds)


def now() -> float:
    return datetime.now(UTC).timestamp()


def test_a_signed_request_says_who_where_and_which_service() -> None:
    who = sign(sagemaker(), headers=TARGET).verify()
    assert (who.access_key_id, who.region, who.service) == (KEY, "eu-west-1", "sagemaker")


def test_s3_declares_the_hash_of_its_body() -> None:
    sent = sign(s3(), "PUT", "http://h/b/k", body=b"hello")
    assert len(sent.verify().payload) == 64
    assert sent.but(body=None).verify().payload == sent.verify().payload
    with pytest.raises(WrongPayload):
        sent.but(body=b"hellp").verify()


def test_a_session_token_is_part_of_what_is_signed() -> None:
    sent = sign(sagemaker(), headers={**TARGET, "X-Amz-Security-Token": "abc"})
    assert sent.verify()
    with pytest.raises(WrongSignature):
        sent.but(headers=sent.headers | {"x-amz-security-token": "abd"}).verify()


paths = st.lists(
    st.text(st.characters(min_codepoint=1, exclude_categories=("Cs",)), max_size=6), max_size=4
)
pairs = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=5)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


def encoded(query: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in query)


@given(paths, pairs, st.dictionaries(st.from_regex("x-[a-z]{1,8}", fullmatch=True), values))
def test_any_path_query_and_headers_that_botocore_signs_are_believed(
    parts: list[str], query: list[tuple[str, str]], extra: dict[str, str]
) -> None:
    path = "/" + "/".join(quote(p, safe="~") for p in parts)
    url = f"http://127.0.0.1:8580{path}?{encoded(query)}"
    assert sign(sagemaker(), url=url, headers=extra).verify().service == "sagemaker"
    assert sign(s3(), "GET", url, headers=extra, body=b"").verify().service == "s3"
    assert sign(presigner(), "GET", url, body=b"").verify().service == "s3"


@given(st.randoms(use_true_random=False))
def test_any_one_bit_change_is_refused(source: random.Random) -> None:
    sent = sign(
        source.choice([sagemaker(), s3()]),
        url="http://127.0.0.1:8580/endpoints/a%20b/invocations?x=1&y=%2B",
        headers=TARGET,
        body=b'{"MaxResults": 1}',
    )
    assert sent.verify()
    with pytest.raises(Denied):
        one_bit_off(sent, source).verify()


@given(st.randoms(use_true_random=False))
def test_any_one_bit_change_of_a_presigned_url_is_refused(source: random.Random) -> None:
    sent = sign(presigner(), "GET", "http://h/bucket/some%20key?response-expires=1", body=b"")
    assert sent.verify()
    place = source.choice(["path", "query", "method"])
    with pytest.raises(Denied):
        sent.but(**{place: flip(getattr(sent, place), source)}).verify()


def one_bit_off(sent: Sent, source: random.Random) -> Sent:
    place = source.choice(["method", "path", "query", "body", "headers"])
    if place == "body":
        assert sent.body is not None
        return sent.but(body=flip(sent.body.decode("latin-1"), source).encode("latin-1"))
    if place == "headers":
        name = source.choice(sorted(set(sent.headers) - {"user-agent"}))
        return sent.but(headers=sent.headers | {name: flip(sent.headers[name], source)})
    return sent.but(**{place: flip(getattr(sent, place), source)})


def flip(text: str, source: random.Random) -> str:
    at = source.randrange(len(text))
    return text[:at] + chr(ord(text[at]) ^ (1 << source.randrange(7))) + text[at + 1 :]


def test_nobody_signed_it() -> None:
    with pytest.raises(MissingSignature) as caught:
        Sent("POST", "/", "", {"host": "h"}, b"").verify()
    assert caught.value.code == "MissingAuthenticationTokenException"


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer x", "AWS key:signature", "AWS4-HMAC-SHA256 Credential=a/b", "AWS4-HMAC-SHA256"],
)
def test_an_authorization_that_cannot_be_read_says_the_form(authorization: str) -> None:
    with pytest.raises(MalformedSignature, match="Credential=KEY/DAY/REGION/SERVICE"):
        Sent("POST", "/", "", {"host": "h", "authorization": authorization}, b"").verify()


def test_a_strange_key_is_named() -> None:
    sent = sign(sagemaker())
    stranger = sent.headers["authorization"].replace(KEY, "AKIASTRANGER")
    with pytest.raises(UnknownKey, match="AKIASTRANGER") as caught:
        sent.but(headers=sent.headers | {"authorization": stranger}).verify()
    assert caught.value.answer("json") == ("UnrecognizedClientException", 400)
    assert caught.value.answer("s3") == ("InvalidAccessKeyId", 403)
    assert caught.value.answer("query") == ("InvalidClientTokenId", 403)


def test_clocks_may_differ_by_fifteen_minutes() -> None:
    sent, moment = sign(sagemaker()), now()
    assert sent.verify(moment + 890)
    assert sent.verify(moment - 890)
    for wrong in (moment + 910, moment - 910):
        with pytest.raises(WrongTime):
            sent.verify(wrong)
    assert sent.verify(moment + 3000, skew=3600)


def test_a_presigned_url_expires() -> None:
    sent, moment = sign(presigner(60), "GET", "http://h/b/k", body=b""), now()
    assert sent.verify(moment + 50)
    with pytest.raises(Expired, match="expired"):
        sent.verify(moment + 70)
    with pytest.raises(Expired, match="not yet valid"):
        sent.verify(moment - 1000)


@pytest.mark.parametrize("seconds", [0, 604_801, 10**12])
def test_a_presigned_url_lives_a_week_at_most(seconds: int) -> None:
    with pytest.raises(MalformedSignature, match="604800"):
        sign(presigner(seconds), "GET", "http://h/b/k", body=b"").verify()


def test_a_presigned_query_works_for_other_services() -> None:
    signer = SigV4QueryAuth(CREDENTIALS, "sts", "us-east-1", expires=60)
    url = "http://h/?Action=GetCallerIdentity&Version=2011-06-15"
    assert sign(signer, "GET", url, body=b"").verify().service == "sts"


def test_an_unsigned_amz_header_is_refused() -> None:
    for sent in (sign(s3(), "GET", "http://h/b/k"), sign(presigner(), "GET", "http://h/b/k")):
        with pytest.raises(UnsignedHeader, match="x-amz-copy-source"):
            sent.but(headers=sent.headers | {"x-amz-copy-source": "/b/other"}).verify()


def test_the_host_must_be_signed() -> None:
    sent = sign(sagemaker())
    loose = sent.headers["authorization"].replace("host;", "")
    with pytest.raises(UnsignedHeader, match="Host"):
        sent.but(headers=sent.headers | {"authorization": loose}).verify()


def test_a_date_that_is_no_date_is_refused() -> None:
    sent = sign(sagemaker())
    for date in ("00000101T000000Z", "20241350T000000Z", "x", "20240101T000000"):
        with pytest.raises(Refusal):
            sent.but(headers=sent.headers | {"x-amz-date": date}).verify()


@pytest.mark.parametrize(
    "date", ["", "yesterday", "Fri, 31 Dec 9999 23:59:59 -1400", "Mon, 01 Jan 2024 00:00:00 +9999"]
)
def test_an_http_date_that_is_no_date_is_refused(date: str) -> None:
    sent = sign(sagemaker())
    headers = {n: v for n, v in sent.headers.items() if n != "x-amz-date"} | {"date": date}
    with pytest.raises(MalformedSignature, match="'Date'"):
        sent.but(headers=headers).verify()


def test_a_region_that_no_directory_could_be_called_is_refused() -> None:
    with pytest.raises(MalformedSignature):
        sign(SigV4Auth(CREDENTIALS, "sagemaker", "r" * 65)).verify()
    assert sign(SigV4Auth(CREDENTIALS, "sagemaker", "r" * 64)).verify().region == "r" * 64


def test_an_older_presigned_url_without_its_key_is_refused() -> None:
    query = "NoAWSAccessKeyId=x&Signature=y&Expires=99999999999"
    with pytest.raises(MalformedSignature, match="AWSAccessKeyId"):
        Sent("GET", "/b/k", query, {"host": "h"}, None).verify()


def test_an_unknown_kind_of_payload_is_refused() -> None:
    sent = sign(s3(), "PUT", "http://h/b/k")
    with pytest.raises(MalformedSignature, match="x-amz-content-sha256"):
        sent.but(headers=sent.headers | {"x-amz-content-sha256": "SIGNED-HONESTLY"}).verify()


def test_the_older_presigned_urls_of_boto3_work() -> None:
    signer = HmacV1QueryAuth(CREDENTIALS, expires=60)
    for url in (
        "http://h/b/a%20b/%C3%BC",
        "http://h/b/k?uploadId=a%2Fb&partNumber=3&prefix=free",
        "http://h/b/k?response-content-type=text%2Fplain",
    ):
        sent = sign(signer, "PUT", url, headers={"Content-Type": "text/csv"}, body=b"")
        sent = sent.but(headers={"host": "h", "content-type": "text/csv"})
        assert sent.verify().service == "s3"
        for change in ({"method": "GET"}, {"path": "/b/other"}, {"headers": {"content-type": "x"}}):
            with pytest.raises(WrongSignature):
                sent.but(**change).verify()
        with pytest.raises(Expired):
            sent.verify(now() + 70)


def test_the_older_presigned_urls_sign_their_metadata() -> None:
    signer = HmacV1QueryAuth(CREDENTIALS, expires=60)
    sent = sign(signer, "PUT", "http://h/b/k", headers={"x-amz-meta-a": "1"}, body=b"")
    bare = sent.but(headers={"host": "h"})
    assert bare.verify()
    with pytest.raises(WrongSignature):
        bare.but(query=bare.query.replace("x-amz-meta-a=1", "x-amz-meta-a=2")).verify()
