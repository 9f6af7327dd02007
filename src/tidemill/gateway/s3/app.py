"""S3's REST protocol over ``storage``: which operation a request asks for, and its errors."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from tidemill.auth.access import Caller
from tidemill.auth.identity import Identity
from tidemill.errors import TidemillError
from tidemill.gateway.s3 import buckets, listing, multipart, objects, permissions, puts, settings
from tidemill.gateway.s3.call import Call, Server, off_loop, parse
from tidemill.gateway.s3.problem import Problem, answer, explain, not_implemented
from tidemill.storage.bucket import Buckets
from tidemill.storage.multipart import Uploads

Operation = Callable[[Call], Awaitable[Response]]
_log = logging.getLogger(__name__)

# (method, the query parameter that tells the operation): the first that the request has decides.
_ON_BUCKET: Mapping[tuple[str, str], Operation] = {
    ("GET", "uploads"): multipart.list_uploads,
    ("GET", "versions"): listing.versions,
    ("GET", "list-type"): listing.version_2,
    ("GET", ""): listing.version_1,
    ("HEAD", ""): buckets.head,
    ("PUT", ""): buckets.create,
    ("DELETE", ""): buckets.delete,
    ("POST", "delete"): objects.delete_many,
}
_ON_OBJECT: Mapping[tuple[str, str], Operation] = {
    ("GET", "uploadId"): multipart.list_parts,
    ("GET", "tagging"): puts.get_tags,
    ("GET", "acl"): settings.acl_of_object,
    ("GET", "attributes"): objects.attributes,
    ("GET", ""): objects.get,
    ("HEAD", ""): objects.head,
    ("PUT", "uploadId"): multipart.put_part,
    ("PUT", "tagging"): puts.put_tags,
    ("PUT", ""): puts.put,
    ("POST", "uploads"): multipart.create,
    ("POST", "uploadId"): multipart.complete,
    ("DELETE", "uploadId"): multipart.abort,
    ("DELETE", "tagging"): puts.delete_tags,
    ("DELETE", ""): objects.delete,
}
_COPIES: Mapping[Operation, Operation] = {
    puts.put: puts.copy,
    multipart.put_part: multipart.copy_part,
}
# Taken for what is asked without them, they would overwrite objects and delete buckets.
_ELSEWHERE = (
    *("annotation", "encryption", "legal-hold", "renameObject", "restore", "retention"),
    *("select", "torrent"),
)
_ELSEWHERE_ON_BUCKETS = (
    *("abac", "metadataAnnotationTable", "metadataConfiguration", "metadataInventoryTable"),
    *("metadataJournalTable", "metadataTable", "session"),
)


class S3:
    """The S3 service of one account. keys: access key id → secret, as the gateway verifies with."""

    def __init__(self, store: Buckets, account: str, keys: Mapping[str, str]) -> None:
        self._server = Server(store, Uploads(store), account, keys)

    async def start(self) -> None:
        """Clear away what processes that died have left."""
        await off_loop(self._server.buckets.sweep)
        await off_loop(self._server.uploads.sweep)

    async def __call__(
        self,
        request: Request,
        identity: Identity,
        caller: Caller | None = None,
        keys: Mapping[str, str] | None = None,
    ) -> Response:
        """Answer a request whose signature was found good; never raises.

        caller: None is the administrator · keys: that it was verified with, where not by ours
        """
        request_id = secrets.token_hex(8).upper()
        server = self._server if keys is None else replace(self._server, keys=keys)
        try:
            call = parse(server, request, identity, caller)
            chosen = operation(call)
            permissions.check(call, chosen)
            response = await chosen(call)
        except Exception as error:
            response = answer(
                _told(error, request),
                resource=request.url.path,
                request_id=request_id,
                is_head=request.method == "HEAD",
            )
        response.headers["x-amz-request-id"] = request_id
        response.headers["x-amz-id-2"] = "tidemill"
        return response


def _told(error: Exception, request: Request) -> Problem:
    if isinstance(error, TidemillError):
        return explain(error)
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    # What went wrong inside is for the operator's log alone.
    return Problem("InternalError", 500, "We encountered an internal error. Please try again.")


def operation(call: Call) -> Operation:
    """What a request asks for, by its method, its address and its query; raises Problem."""
    if not call.bucket:
        if call.method != "GET":
            raise _not_allowed(call)
        return buckets.list_all
    return _on_object(call) if call.key else _on_bucket(call)


def is_unset(chosen: Operation) -> bool:
    """Does it only tell of a setting that nobody can make?"""
    return isinstance(chosen, partial)


def _on_bucket(call: Call) -> Operation:
    _refuse(call, _ELSEWHERE_ON_BUCKETS)
    for name in settings.OF_BUCKET:
        if name in call.query and "list-type" not in call.query:
            return _setting(call, name)
    return _chosen(_ON_BUCKET, call)


def _setting(call: Call, name: str) -> Operation:
    if call.method == "GET":
        return partial(settings.get_of_bucket, name=name)
    if call.method == "DELETE":
        return partial(settings.delete_of_bucket, name=name)
    raise not_implemented(f"{call.method} {name}")


def _on_object(call: Call) -> Operation:
    _refuse(call, _ELSEWHERE)
    if call.method == "PUT" and "acl" in call.query:
        raise not_implemented("PUT acl")
    if call.query.get("versionId", "null") != "null":
        raise Problem("NoSuchVersion", 404, "The specified version does not exist.")
    chosen = _chosen(_ON_OBJECT, call)
    if "x-amz-copy-source" in call.headers:
        chosen = _COPIES.get(chosen, chosen)
    return chosen


def _refuse(call: Call, names: Sequence[str]) -> None:
    for name in names:
        if name in call.query:
            raise not_implemented(name)


def _chosen(table: Mapping[tuple[str, str], Operation], call: Call) -> Operation:
    named = [name for _, name in table if name in call.query and name != "list-type"]
    for (method, parameter), found in table.items():
        if method == call.method and (parameter in call.query or not (parameter or named)):
            return found
    raise _not_allowed(call)


def _not_allowed(call: Call) -> Problem:
    return Problem(
        "MethodNotAllowed",
        405,
        "The specified method is not allowed against this resource.",
        Method=call.method,
    )
