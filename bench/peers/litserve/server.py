"""LitServe: setup, decode, predict, encode; ``server.py PORT WORKERS [fast]``.

Without ``from __future__ import annotations``: LitServe reads the annotations themselves.
"""

import sys
from typing import Any

import litserve
from logistic import scores


class Logistic(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = scores

    def decode_request(self, request: dict[str, Any]) -> Any:
        return request["rows"]

    def predict(self, x: Any) -> Any:
        return self.model(x)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    port, workers, *more = sys.argv[1:]
    server = litserve.LitServer(
        Logistic(), accelerator="cpu", workers_per_device=int(workers), fast_queue="fast" in more
    )
    server.run(host="127.0.0.1", port=int(port), generate_client_file=False, log_level="warning")
