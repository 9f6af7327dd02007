"""What a handler may ask for beyond its arguments, as the model servers of SageMaker's containers
hand it over: the request's headers, the directory of the model, the answer's status and headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class RequestProcessor:
    """One request's headers, and what was said about its answer."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)
        self.status: tuple[int, str | None] | None = None
        self.response_headers: dict[str, str] = {}

    def get_request_properties(self) -> dict[str, str]:
        return dict(self._headers)

    def get_request_property(self, key: str) -> str | None:
        return _find(self._headers, key)

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        self.status = (code, reason_phrase)

    def add_response_property(self, key: str, value: str) -> None:
        self.response_headers[key] = value


class Context:
    """Of one request, or of the start: then there are no headers. ``idx`` is always 0: requests
    come one by one.
    """

    def __init__(self, model_dir: str, headers: Mapping[str, str], id: str = "") -> None:
        self.model_name = "model"
        self.manifest: dict[str, Any] = {}
        self.system_properties: dict[str, Any] = {
            "model_dir": model_dir,
            "gpu_id": None,
            "batch_size": 1,
            "server_name": "Tidemill",
        }
        self.request_ids = {0: id}
        self.request_processor = [RequestProcessor(headers)]

    def get_request_id(self, idx: int = 0) -> str | None:
        return self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> str | None:
        return self.request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        return self.request_processor[idx].get_request_properties()

    def set_response_content_type(self, idx: int, value: str) -> None:
        self.set_response_header(idx, "Content-Type", value)

    def get_response_content_type(self, idx: int) -> str | None:
        return _find(self.request_processor[idx].response_headers, "Content-Type")

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        self.request_processor[idx].add_response_property(key, value)

    def get_response_headers(self, idx: int) -> dict[str, str]:
        return dict(self.request_processor[idx].response_headers)

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        self.request_processor[idx].report_status(code, phrase)

    @property
    def status(self) -> int | None:
        """The status that a handler has set, if any."""
        said = self.request_processor[0].status
        return said[0] if said else None

    @property
    def attributes(self) -> str:
        """The custom attributes of the answer, if a handler has set any."""
        return _find(self.request_processor[0].response_headers, ATTRIBUTES) or ""


def _find(headers: Mapping[str, str], key: str) -> str | None:
    wanted = key.lower()
    return next((value for name, value in headers.items() if name.lower() == wanted), None)
