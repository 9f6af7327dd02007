"""Buckets: list, create, look at, delete."""

from __future__ import annotations

from starlette.responses import Response

from tidemill.gateway.s3 import answers
from tidemill.gateway.s3.body import document
from tidemill.gateway.s3.call import Call, off_loop
from tidemill.gateway.s3.parameters import number
from tidemill.gateway.s3.problem import malformed_xml
from tidemill.gateway.s3.xml import Node, Unreadable, parse
from tidemill.storage.errors import BucketTaken

CLASSIC_REGION = "us-east-1"


async def list_all(call: Call) -> Response:
    """ListBuckets, in pages if the client asks for pages."""
    found = await off_loop(call.buckets.buckets)
    prefix, after = call.query.get("prefix", ""), call.query.get("continuation-token", "")
    most = number(call, "max-buckets", low=1, high=10_000, default=10_000)
    wanted = [b for b in found if b.name.startswith(prefix) and b.name > after]
    children: list[Node] = [answers.owner(call.server.account)]
    buckets: list[Node] = [
        (
            "Bucket",
            [
                ("Name", one.name),
                ("CreationDate", answers.moment(one.created)),
                ("BucketRegion", one.region),
            ],
        )
        for one in wanted[:most]
    ]
    children.append(("Buckets", buckets))
    if len(wanted) > most:
        children.append(("ContinuationToken", wanted[most - 1].name))
    return answers.xml("ListAllMyBucketsResult", children)


async def create(call: Call) -> Response:
    """CreateBucket. Again in us-east-1 is fine, as in S3; elsewhere the bucket is taken."""
    region = _constraint(await document(call)) or call.identity.region or CLASSIC_REGION
    try:
        await off_loop(call.buckets.create, call.bucket, region)
    except BucketTaken:
        if region != CLASSIC_REGION:
            raise
    return answers.empty(headers={"location": f"/{call.bucket}"})


async def head(call: Call) -> Response:
    """HeadBucket."""
    about = await off_loop(call.buckets.bucket, call.bucket)
    return answers.empty(
        headers={"x-amz-bucket-region": about.region, "x-amz-access-point-alias": "false"}
    )


async def delete(call: Call) -> Response:
    """DeleteBucket."""
    await off_loop(call.buckets.delete_bucket, call.bucket)
    return answers.empty(204)


def _constraint(body: bytes) -> str:
    if not body:
        return ""
    try:
        root = parse(body)
    except Unreadable as error:
        raise malformed_xml() from error
    return root.findtext("LocationConstraint") or ""
