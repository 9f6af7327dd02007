"""Paths that lead out, URLs signed for something else, streams with broken signatures."""

from __future__ import annotations

import hmac
import time
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest
from botocore.auth import HmacV1QueryAuth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.attack.conftest import Town
from tests.attack.wire import Answer, Asking, once, raw
from tests.router.stand_in import KEY, SECRET

PAIR = Credentials(KEY, SECRET)
OUT = (
    "/../x",
    "/../../x",
    "/paths/../../x",
    "/paths/../other/x",
    "/paths/..%2f..%2fx",
    "/paths/%2e%2e/%2e%2e/x",
    "/paths/%2e%2e%2f%2e%2e%2fx",
    "/paths/%252e%252e%252fx",
    "/paths/..%5c..%5cx",
    "/paths/..\\..\\x",
    "/paths/%c0%ae%c0%ae%c0%afx",
    "/paths/%00x",
    "/paths/x%00.txt",
    "/paths/%0d%0aSet-Cookie:%20x=1",
    "/paths//x",
    "/paths//../x",
    "/paths/./x",
    "/paths/.",
    "/paths/..",
    "/paths/" + "a/" * 2000 + "x",
    "/paths/" + "a" * 2000,
    "/paths/%ff%fe",
    "/paths/.tidemill/x",
    "/paths/%",
    "/paths/%zz",
    "/..",
    "/%2e%2e",
    "/%2e%2e%2fpaths/x",
    "/.%00/x",
    "/PATHS/x",
    "/" + "b" * 300 + "/x",
    "//etc/passwd",
    "/paths%2fx",
)


@pytest.fixture(scope="module", autouse=True)
def bucket(town: Town) -> None:
    for name in ("paths", "other"):
        assert once(town.port, Asking("PUT", f"/{name}", service="s3").signed()).status == 200


def outside(town: Town) -> set[Path]:
    """The files that are no objects."""
    root = town.platform.home.root
    buckets = town.platform.home.buckets
    return {path for path in root.rglob("*") if not path.is_relative_to(buckets)}


def test_no_key_leads_out_of_its_bucket(town: Town) -> None:
    before = outside(town)
    ours = {path.parent for path in town.platform.home.buckets.rglob("*")}
    for path in OUT:
        for method in ("PUT", "GET", "HEAD", "DELETE"):
            body = b"mark" if method == "PUT" else b""
            one = Asking(method, path, body=body, service="s3")
            answer = once(town.port, one.signed(), bodiless=method == "HEAD")
            assert answer.status < 500, (method, path, answer)
            assert b"root:" not in answer.body
        copy = {"x-amz-copy-source": path}
        answer = once(town.port, Asking("PUT", "/paths/c", "", copy, service="s3").signed())
        assert answer.status < 500, (path, answer)
    assert outside(town) <= before
    assert not (town.platform.home.root.parent / "x").exists()
    assert ours
    town.lives()


@pytest.mark.parametrize("where", ["/endpoints/{}/invocations", "/v2/models/{}/infer", "/{}"])
def test_odd_names_in_paths_are_not_found(where: str, town: Town) -> None:
    for name in (
        "..",
        "%2e%2e",
        "%252e%252e",
        "a%00b",
        "%ff",
        "e%2f..%2fe",
        "e%0d%0aX:%20y",
        "x" * 8000,
        "%u0065",
        "e;a=b",
        "E",
    ):
        one = Asking(path=where.format(name), body=b"1")
        for data in (one.signed(), one.unsigned()):
            answer = once(town.port, data)
            assert 400 <= answer.status < 500, (name, answer)
            assert b"\r\nX: y" not in answer.head
    town.lives()


def presigned(port: int, method: str, signer: type, **changes: object) -> str:
    request = AWSRequest(method, f"http://127.0.0.1:{port}/paths/key")
    if signer is HmacV1QueryAuth:
        signer(PAIR, expires=changes.get("seconds", 60)).add_auth(request)
    else:
        signer(PAIR, "s3", "us-east-1", expires=changes.get("seconds", 60)).add_auth(request)
    return request.url.partition(f":{port}")[2]


def visit(town: Town, method: str, target: str, body: bytes = b"") -> Answer:
    data = raw(method, target, {"Host": f"127.0.0.1:{town.port}"}, body)
    return once(town.port, data, bodiless=method == "HEAD")


@pytest.mark.parametrize("signer", [S3SigV4QueryAuth, HmacV1QueryAuth])
def test_a_presigned_url_is_good_for_what_it_was_signed_for(signer: type, town: Town) -> None:
    put, get = presigned(town.port, "PUT", signer), presigned(town.port, "GET", signer)
    assert visit(town, "PUT", put, b"content").status == 200
    assert visit(town, "GET", get).body == b"content"
    for method, target in (
        ("GET", put),
        ("DELETE", put),
        ("DELETE", get),
        ("PUT", get),
        ("POST", get),
        ("GET", get.replace("/paths/key", "/paths/keys")),
        ("GET", get.replace("/paths/key", "/other/key")),
        ("GET", get.replace("/paths/key", "/paths/../paths/key")),
        ("GET", get.replace("/paths/key", "/paths/k%65y")),
        ("GET", get + "&acl"),
        ("GET", get + "&uploads"),
        ("GET", get.replace("Expires=", "Expires=9")),
        ("GET", get.replace(KEY, "AKIASTRANGER")),
        ("GET", get.replace("Signature=", "Signature=A")),
        ("GET", get[: get.index("Signature=")]),
        ("PUT", put + "&tagging"),
        ("PUT", put + "&uploadId=1&partNumber=1"),
    ):
        answer = visit(town, method, target, b"evil" if method in ("PUT", "POST") else b"")
        assert answer.status in (400, 403), (method, target, answer)
        assert answer.code
    assert visit(town, "GET", get).body == b"content"


def streamed(chunks: list[bytes], *, spoil: str = "") -> bytes:
    """A PUT in signed chunks. spoil: what is wrong with it"""
    size = sum(map(len, chunks))
    asked = Asking(
        "PUT",
        "/paths/streamed",
        headers={
            "content-encoding": "aws-chunked",
            "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "x-amz-decoded-content-length": str(size + (spoil == "length")),
            "transfer-encoding": "chunked",
        },
        service="s3",
        when=time.time(),
    )
    head = asked.signed()
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(asked.when))
    scope = f"{moment[:8]}/us-east-1/s3/aws4_request"
    before = head.partition(b"Signature=")[2][:64].decode()
    key, empty, frames = asked.signing_key(moment), sha256(b"").hexdigest(), []
    for chunk in [*chunks, b""]:
        text = (
            f"AWS4-HMAC-SHA256-PAYLOAD\n{moment}\n{scope}\n{before}\n{empty}\n"
            f"{sha256(chunk).hexdigest()}"
        )
        before = hmac.digest(key, text.encode(), "sha256").hex()
        frames.append(b"%x;chunk-signature=%b\r\n%b\r\n" % (len(chunk), before.encode(), chunk))
    body = b"".join(_spoilt(frames, spoil))
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def _spoilt(frames: list[bytes], spoil: str) -> list[bytes]:
    if spoil == "swapped":
        return [frames[1], frames[0], *frames[2:]]
    if spoil == "left out":
        return frames[1:]
    if spoil == "twice":
        return [frames[0], *frames]
    if spoil == "no end":
        return frames[:-1]
    if spoil == "more":
        return [*frames, b"more"]
    if spoil == "bytes":
        return [frames[0].replace(b"aa", b"ab", 1) if b"aa" in frames[0] else b"", *frames[1:]]
    if spoil == "signature":
        return [frames[0].replace(b"chunk-signature=", b"chunk-signature=0"), *frames[1:]]
    if spoil == "unsigned":
        return [b"5\r\nhello\r\n", b"0\r\n\r\n"]
    if spoil == "size":
        return [b"ffffffffffffffff" + frames[0], *frames[1:]]
    return frames


SPOILS = (
    *("swapped", "left out", "twice", "no end", "more", "bytes", "signature", "unsigned"),
    *("size", "length"),
)


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_stream_with_a_broken_chunk_leaves_nothing(spoil: str, town: Town) -> None:
    get = Asking("GET", "/paths/streamed", service="s3")
    once(town.port, get.but(method="DELETE").signed())
    answer = once(town.port, streamed([b"a" * 9000, b"b" * 9000], spoil=spoil))
    assert 400 <= answer.status < 500, answer
    assert answer.code
    assert once(town.port, get.signed()).status == 404
    assert once(town.port, streamed([b"a" * 9000, b"b" * 9000])).status == 200
    assert len(once(town.port, get.signed()).body) == 18_000


def test_signed_headers_cannot_be_added_dropped_or_doubled(town: Town) -> None:
    one = Asking("PUT", "/paths/key", headers={"x-amz-meta-a": "1"}, body=b"x", service="s3")
    good = one.signed()
    for bad in (
        good.replace(b"x-amz-meta-a: 1", b"x-amz-meta-a: 2"),
        good.replace(b"x-amz-meta-a: 1", b"x-amz-meta-a: 1\r\nx-amz-meta-a: 1"),
        good.replace(b"x-amz-meta-a: 1", b"x-amz-meta-b: 1"),
        good.replace(b"x-amz-meta-a: 1", b"x-amz-meta-a: 1\r\nx-amz-acl: public-read"),
        good.replace(b"host: h", b"host: evil"),
        good.replace(b"host: h", b"host: h\r\nhost: evil"),
        good.replace(b"SignedHeaders=host;", b"SignedHeaders="),
        good.replace(b"aws4_request", b"aws4_requests"),
        good.replace(b"AWS4-HMAC-SHA256 ", b"AWS4-HMAC-SHA1 "),
    ):
        answer = once(town.port, bad)
        assert answer.status in (400, 403), bad
        assert answer.code
    assert once(town.port, good).status == 200


@pytest.mark.parametrize("region", ["..", "../..", "a/b", "%2e%2e", "x" * 65, "", "us east"])
def test_a_region_is_a_plain_word(region: str, town: Town) -> None:
    one = Asking(headers={"x-amz-target": "SageMaker.ListModels"}, body=b"{}", region=region)
    answer = once(town.port, one.signed())
    assert answer.status in (400, 403), quote(region)
    assert answer.code
