"""What clients send and see byte by byte: both address styles, framing, errors, odd bodies."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
import socket
import zlib
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.gateway.s3.server import KEY, SECRET
from tidemill.auth.sigv4 import signing_key


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        found = re.search(rb"<Code>(.*?)</Code>", self.body)
        return found[1].decode() if found else ""


class Signer(S3SigV4Auth):
    """Signs what it is told of the payload, as S3 lets a client declare it."""

    def __init__(self, declared: str) -> None:
        super().__init__(Credentials(KEY, SECRET), "s3", "us-east-1")
        self.declared = declared

    def payload(self, request: AWSRequest) -> str:
        return self.declared


def signed(
    url: str,
    method: str,
    path: str,
    *,
    declared: str = "UNSIGNED-PAYLOAD",
    headers: Mapping[str, str] | None = None,
    host: str = "",
) -> dict[str, str]:
    netloc = host or urlsplit(url).netloc
    request = AWSRequest(method, f"http://{netloc}{path}", headers=dict(headers or {}))
    request.headers["host"] = netloc
    Signer(declared).add_auth(request)
    return dict(request.headers.items())


def send(url: str, method: str, path: str, body: Any = None, **how: Any) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, path, body=body, headers=signed(url, method, path, **how))
        got = connection.getresponse()
        return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
    finally:
        connection.close()


def test_the_bucket_may_be_in_the_host(url: str, s3: Any, bucket: str) -> None:
    host = f"{bucket}.s3.us-east-1.amazonaws.com"
    assert send(url, "PUT", "/a//b", b"x", host=host).status == 200
    assert s3.get_object(Bucket=bucket, Key="a//b")["Body"].read() == b"x"
    listed = send(url, "GET", "/?list-type=2", host=host)
    assert b"<Key>a//b</Key>" in listed.body
    service = send(url, "GET", "/", host="s3.us-east-1.amazonaws.com")
    assert b"<ListAllMyBucketsResult" in service.body


def test_an_unsigned_trailer_is_unpacked_and_checked(url: str, s3: Any, bucket: str) -> None:
    data = b"grain" * 50_000
    crc = b64encode(zlib.crc32(data).to_bytes(4, "big"))
    for given, wanted in ((crc, 200), (b"AAAAAA==", 400)):
        frames = b"10000\r\n" + data[:65536] + b"\r\n"
        frames += b"%x\r\n" % (len(data) - 65536) + data[65536:] + b"\r\n"
        frames += b"0\r\nx-amz-checksum-crc32:" + given + b"\r\n\r\n"
        got = send(
            url,
            "PUT",
            f"/{bucket}/k",
            frames,
            declared="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            headers={
                "Content-Encoding": "aws-chunked",
                "X-Amz-Decoded-Content-Length": str(len(data)),
                "X-Amz-Trailer": "x-amz-checksum-crc32",
            },
        )
        assert (got.status, got.code) == (wanted, "" if wanted == 200 else "BadDigest")
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head["ContentLength"], head["ChecksumCRC32"]) == (len(data), crc.decode())
    assert "ContentEncoding" not in head


@pytest.mark.parametrize("is_forged", [False, True])
def test_signed_chunks_are_proved_one_by_one(
    url: str, s3: Any, bucket: str, is_forged: bool
) -> None:
    path, data = f"/{bucket}/signed", [b"a" * 70_000, b"b" * 10, b""]
    declared = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    about = {"X-Amz-Decoded-Content-Length": "70010", "Content-Encoding": "gzip,aws-chunked"}
    head = signed(url, "PUT", path, declared=declared, headers=about)
    date = head["X-Amz-Date"]
    key = signing_key(SECRET, date[:8], "us-east-1", "s3")
    previous, frames = head["Authorization"].rpartition("Signature=")[2], b""
    for chunk in data:
        empty, digest = hashlib.sha256().hexdigest(), hashlib.sha256(chunk).hexdigest()
        scope = f"{date[:8]}/us-east-1/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{empty}\n{digest}"
        previous = hmac.new(key, text.encode(), "sha256").hexdigest()
        sent = b"c" * len(chunk) if is_forged else chunk
        frames += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + sent + b"\r\n"
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("PUT", path, body=frames, headers=head)
    got = connection.getresponse()
    assert got.status == (403 if is_forged else 200), got.read()
    connection.close()
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    assert listed == ([] if is_forged else ["signed"])
    if not is_forged:
        found = s3.get_object(Bucket=bucket, Key="signed")
        assert found["Body"].read() == b"".join(data)
        assert found["ContentEncoding"] == "gzip"


def test_a_body_other_than_the_signed_one_is_refused(url: str, s3: Any, bucket: str) -> None:
    digest = hashlib.sha256(b"what was signed").hexdigest()
    got = send(url, "PUT", f"/{bucket}/k", b"what was sent", declared=digest)
    assert (got.status, got.code) == (400, "XAmzContentSHA256Mismatch")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_cut_body_is_refused_and_leaves_nothing(url: str, s3: Any, bucket: str) -> None:
    got = send(
        url,
        "PUT",
        f"/{bucket}/k",
        b"5\r\nhel",
        declared="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        headers={"X-Amz-Decoded-Content-Length": "5"},
    )
    assert (got.status, got.code) == (400, "IncompleteBody")
    head = signed(url, "PUT", f"/{bucket}/k", headers={"Content-Length": "1000"})
    with socket.create_connection(urlsplit(url).netloc.split(":"), timeout=10) as raw:
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        raw.sendall(f"PUT /{bucket}/k HTTP/1.1\r\n{lines}\r\nfew".encode())
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_expect_is_answered_before_the_body(url: str, bucket: str) -> None:
    head = signed(
        url, "PUT", f"/{bucket}/k", headers={"Content-Length": "4", "Expect": "100-continue"}
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    with socket.create_connection(urlsplit(url).netloc.split(":"), timeout=10) as raw:
        raw.sendall(f"PUT /{bucket}/k HTTP/1.1\r\n{lines}\r\n".encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 100")
        raw.sendall(b"body")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_refused_put_leaves_the_connection_in_step(url: str, bucket: str) -> None:
    """The client may wait for 100 Continue, or send all at once; the next request still works."""
    for expects in (True, False):
        with socket.create_connection(urlsplit(url).netloc.split(":"), timeout=10) as raw:
            about = {"Content-Length": "3000000", **({"Expect": "100-continue"} if expects else {})}
            head = signed(url, "PUT", "/no-such-bucket/k", headers=about)
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            raw.sendall(f"PUT /no-such-bucket/k HTTP/1.1\r\n{lines}\r\n".encode())
            if expects:
                assert raw.recv(100).startswith(b"HTTP/1.1 100")
            raw.sendall(b"x" * 3_000_000)
            assert raw.recv(10_000).startswith(b"HTTP/1.1 404")
            head = signed(url, "HEAD", f"/{bucket}")
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            raw.sendall(f"HEAD /{bucket} HTTP/1.1\r\n{lines}\r\n".encode())
            assert raw.recv(10_000).startswith(b"HTTP/1.1 200")


def test_errors_are_documents_and_heads_have_none(url: str, bucket: str) -> None:
    got = send(url, "GET", f"/{bucket}/no%26ne")
    assert got.status == 404
    assert got.headers["content-type"] == "application/xml"
    assert got.code == "NoSuchKey"
    assert b"<Resource>" in got.body
    assert got.headers["x-amz-request-id"].encode() in got.body
    got = send(url, "HEAD", f"/{bucket}/none")
    assert (got.status, got.body) == (404, b"")
    got = send(url, "GET", f"/{bucket}/%ff")
    assert (got.status, got.code) == (400, "InvalidURI")
    assert send(url, "PUT", f"/{bucket}/k", b"0123").status == 200
    got = send(url, "GET", f"/{bucket}/k", headers={"Range": "bytes=9-"})
    assert (got.status, got.code, got.headers["content-range"]) == (
        416,
        "InvalidRange",
        "bytes */4",
    )
    got = send(url, "GET", f"/{bucket}/k?response-content-type=a%0d%0ax:%20y")
    assert (got.status, got.code) == (400, "InvalidArgument")
    got = send(url, "PATCH", f"/{bucket}/none")
    assert (got.status, got.code) == (405, "MethodNotAllowed")
    got = send(url, "GET", f"/{bucket}?list-type=2&max-keys=-1")
    assert (got.status, got.code) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Delete>",
        b"<Delete></Delete>",
        b"<Other><Object><Key>a</Key></Object></Other>",
        b'<!DOCTYPE d [<!ENTITY a "aa">]><Delete><Object><Key>&a;</Key></Object></Delete>',
        "<Delete><Object><Key>a</Key></Object></Delete>".encode("utf-16"),
        b"<Delete>" + b"<Object><Key>a</Key></Object>" * 1001 + b"</Delete>",
    ],
    ids=["empty", "cut", "none", "other", "entity", "utf-16", "too-many"],
)
def test_a_bad_document_is_refused(url: str, bucket: str, body: bytes) -> None:
    got = send(url, "POST", f"/{bucket}?delete", body)
    assert (got.status, got.code) == (400, "MalformedXML")


def test_an_endless_document_is_refused(url: str, bucket: str) -> None:
    got = send(url, "POST", f"/{bucket}?delete", b"<Delete>" + b" " * (5 << 20))
    assert (got.status, got.code) == (400, "EntityTooLarge")


def test_quiet_deletes_tell_only_of_errors(url: str, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a&<b>", Body=b"")
    body = (
        b'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>'
        b"<Object><Key>a&amp;&lt;b></Key></Object><Object><Key>" + b"x" * 1025 + b"</Key></Object>"
        b"</Delete>"
    )
    got = send(url, "POST", f"/{bucket}?delete", body)
    assert got.status == 200
    assert got.code == "KeyTooLongError"
    assert b"<Deleted>" not in got.body
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_nothing_passes_without_a_good_signature(url: str, bucket: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", f"/{bucket}")
    assert connection.getresponse().read().count(b"<Code>AccessDenied</Code>") == 1
    connection.close()
    got = send(url, "GET", f"/{bucket}", host="other.example.com")
    assert got.status in (200, 404)  # signed for that host: good
    head = signed(url, "GET", f"/{bucket}")
    connection.request("DELETE", f"/{bucket}", headers=head)
    assert connection.getresponse().status == 403
    connection.close()
