"""Tells webhooks how asynchronous requests have ended: as well as can be, never in the way."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from tidemill.errors import TidemillError
from tidemill.router.backlog import Entry
from tidemill.spec.async_inference import webhook

MOST_WAITING = 1000
THREADS = 2
SECONDS = 2.0
PAUSES = (0.2, 1.0, 5.0)
"""Before another try."""

log = logging.getLogger(__name__)


class Notices:
    """topics: the file that says which webhook a topic is"""

    def __init__(self, topics: Path) -> None:
        self._topics = topics
        self._threads = ThreadPoolExecutor(THREADS, "notices")
        self._closing = threading.Event()
        self._room = threading.Semaphore(MOST_WAITING)

    def tell(self, topic: str, message: Mapping[str, object], failed: Callable[[], object]) -> None:
        """Have a message sent; dropped, with a line in the log, when too many wait.

        failed: called, in any thread, when nobody has taken it
        """
        if not topic:
            return
        if not self._room.acquire(blocking=False):
            log.warning("%s: a notification is dropped, for %d wait", topic, MOST_WAITING)
            failed()
            return
        self._threads.submit(self._send, topic, json.dumps(message).encode(), failed)

    def close(self) -> None:
        """What has not been sent is not sent any more."""
        self._closing.set()
        self._threads.shutdown(cancel_futures=True)

    def _send(self, topic: str, data: bytes, failed: Callable[[], object]) -> None:
        try:
            for pause in (0.0, *PAUSES):
                if self._closing.wait(pause):
                    return
                if self._post(topic, data):
                    return
            log.warning("%s: its webhook does not take a notification", topic)
            failed()
        except (OSError, TidemillError) as error:  # no such file, or no such topic in it
            log.warning("%s: a notification is not sent: %s", topic, error)
            failed()
        finally:
            self._room.release()

    def _post(self, topic: str, data: bytes) -> bool:
        """Whether it was taken. Redirects are not followed: they may lead elsewhere."""
        url = urlsplit(webhook(self._topics.read_text(), topic))
        connection = HTTPConnection(url.hostname or "", url.port or 80, timeout=SECONDS)
        headers = {
            "Content-Type": "application/json",
            "x-amz-sns-message-type": "Notification",
            "x-amz-sns-topic-arn": topic,
        }
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        try:
            connection.request("POST", path, data, headers)
            return 200 <= connection.getresponse().status < 300
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def message(entry: Entry, now: float, failure: str, content_type: str) -> dict[str, object]:
    """What SageMaker's notifications hold. now: epoch seconds · failure: empty for an answer
    content_type: of the answer
    """
    place = entry.failure if failure else entry.output
    asked = {
        "contentType": entry.content_type,
        "endpointName": entry.endpoint,
        "inputLocation": entry.source,
    }
    told: dict[str, object] = {
        "awsRegion": entry.region,
        "eventTime": _moment(now),
        "receivedTime": _moment(entry.at),
        "invocationStatus": "Failed" if failure else "Completed",
        "requestParameters": {name: value for name, value in asked.items() if value},
        "responseParameters": {"contentType": content_type, "outputLocation": place},
        "inferenceId": entry.id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    return {**told, "failureReason": failure} if failure else told


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
