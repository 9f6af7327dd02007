"""One S3 request, taken apart: which bucket and key, asked for in which of S3's two styles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

from anyio import to_thread
from starlette.requests import Request

from tidemill.auth.access import Caller
from tidemill.auth.identity import Identity
from tidemill.gateway.s3.problem import Problem
from tidemill.storage.bucket import Buckets
from tidemill.storage.errors import InvalidKey
from tidemill.storage.multipart import Uploads
from tidemill.storage.uri import bucket_of_host

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Server:
    """What every call works on. keys: access key id → secret, to check streamed chunks."""

    buckets: Buckets
    uploads: Uploads
    account: str
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """bucket, key: decoded, empty where the request names none · query: the last value of each
    name · headers: names in lower case · caller: None is the administrator
    """

    server: Server
    request: Request
    identity: Identity
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    caller: Caller | None = None

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def buckets(self) -> Buckets:
        return self.server.buckets

    @property
    def uploads(self) -> Uploads:
        return self.server.uploads


async def off_loop(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what touches the disk in a thread; other requests go on meanwhile."""
    return await to_thread.run_sync(lambda: fn(*args, **kwargs))


def parse(
    server: Server, request: Request, identity: Identity, caller: Caller | None = None
) -> Call:
    """Raises Problem or InvalidKey when the address cannot be read."""
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    headers = dict(request.headers.items())
    bucket, key = address(headers.get("host", ""), path.partition(b"?")[0])
    query = _query(request.scope.get("query_string", b""))
    call = Call(server, request, identity, bucket, key, query, headers, caller)
    _check_owner(call)
    return call


def address(host: str, path: bytes) -> tuple[str, str]:
    """The bucket and key of a host and a path as sent.

    >>> address("127.0.0.1:8580", b"/mill/a%20b"), address("mill.s3.amazonaws.com", b"/a//b")
    (('mill', 'a b'), ('mill', 'a//b'))
    """
    try:
        text = unquote_to_bytes(path.removeprefix(b"/")).decode()
    except UnicodeDecodeError as error:
        raise InvalidKey("a path in UTF-8", got=path, do="Encode it as UTF-8.") from error
    virtual = bucket_of_host(host.rpartition(":")[0] if ":" in host else host)
    if virtual:
        return virtual, text
    bucket, _, key = text.partition("/")
    return bucket, key


def _query(raw: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict"))
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidKey("a query in UTF-8", got=raw, do="Encode it as UTF-8.") from error


def _check_owner(call: Call) -> None:
    for name in ("x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"):
        if call.headers.get(name, call.server.account) != call.server.account:
            raise Problem(
                "AccessDenied", 403, f"Access Denied: {name} is not {call.server.account}"
            )
