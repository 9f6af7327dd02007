"""What a client error says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError


@contextmanager
def refused(code: str, message: str, *, status: int = 400) -> Iterator[None]:
    """The call inside fails with this code, this text in its message, this status."""
    with pytest.raises(ClientError) as caught:
        yield
    answer: Any = caught.value.response
    assert answer["Error"]["Code"] == code
    assert message in answer["Error"]["Message"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert answer["ResponseMetadata"]["RequestId"] or status == 403


Client = Callable[..., Any]
