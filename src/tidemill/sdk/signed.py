"""Requests that boto3 has no operation for, signed as it signs its own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from tidemill.sdk.connection import HERE, Connection

SECONDS = 70
TRY_AGAIN = frozenset({429, 503})
PAUSES = (0.2, 0.5, 1.0, 2.0)


def send(
    connection: Connection,
    operation: str,
    method: str,
    *path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The JSON that the platform answers; botocore's ClientError when it refuses.

    operation: for the error's words · path: its parts, as they are · A refusal for too much is
    tried again, some times.
    """
    url = connection.url + "/" + "/".join(quote(part, safe="") for part in path)
    is_here = urlsplit(url).hostname in HERE
    session = URLLib3Session(proxies={} if is_here else None, timeout=SECONDS)
    for pause in (*PAUSES, None):
        status, answer = _once(connection, session, method, url, body, headers or {})
        if status < 400:
            return answer
        if pause is None or status not in TRY_AGAIN:
            break
        time.sleep(pause)
    code, message = str(answer.get("__type", status)), str(answer.get("message", ""))
    raise ClientError({"Error": {"Code": code, "Message": message}}, operation)


def _once(
    connection: Connection,
    session: Any,
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
) -> tuple[int, dict[str, Any]]:
    request = AWSRequest(method, url, dict(headers), body)
    keys = Credentials(connection.access_key_id, connection.secret_access_key)
    SigV4Auth(keys, "sagemaker", connection.region).add_auth(request)
    response = session.send(request.prepare())
    try:
        said = json.loads(response.content)
    except ValueError:
        said = {"message": response.content.decode("utf-8", "replace")}
    return response.status_code, said if isinstance(said, dict) else {}
