"""Ray Serve: a deployment behind its HTTP proxy; ``server.py PORT REPLICAS``."""

from __future__ import annotations

import sys
import time
from typing import Any

import ray
from logistic import scores
from ray import serve
from starlette.requests import Request


@serve.deployment(max_ongoing_requests=512)
class Logistic:
    def __init__(self) -> None:
        self.model = scores

    async def __call__(self, request: Request) -> dict[str, Any]:
        rows = (await request.json())["rows"]
        return {"predictions": self.model(rows).tolist()}


if __name__ == "__main__":
    port, replicas = (int(each) for each in sys.argv[1:])
    ray.init(include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Logistic.options(num_replicas=replicas).bind())
    while True:
        time.sleep(60)
