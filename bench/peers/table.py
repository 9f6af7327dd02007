"""The servers that one would use instead: how each is started, asked and understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Rows = list[list[float]]


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to run a server on two cores, in a folder with its files and the model's.

    variables: of its environment; {port} is filled in there and in the command
    """

    name: str
    command: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """package: whose version is told · path: of its URL · write: the rows as the document it
    takes · read: the probabilities in the document it answers"""

    name: str
    package: str
    path: str
    setups: tuple[Setup, ...]
    write: Callable[[Rows], Any]
    read: Callable[[Any], list[float]]


def _rows(rows: Rows) -> Any:
    return {"rows": rows}


def _predictions(answer: Any) -> list[float]:
    scores: list[float] = answer["predictions"]
    return scores


def _inference_protocol(rows: Rows) -> Any:
    flat = [value for row in rows for value in row]
    tensor = {"name": "rows", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": flat}
    return {"inputs": [tensor]}


def _workers(command: str, *counts: int, **variables: str) -> tuple[Setup, ...]:
    return tuple(
        Setup(
            f"{count} worker{'s'[: count > 1]}" if count else "in process",
            command.replace("{workers}", str(count)),
            {name: value.replace("{workers}", str(count)) for name, value in variables.items()},
        )
        for count in counts
    )


_UVICORN = "uvicorn server:app --port {port} --workers {workers}"
_THROUGHPUT = {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
_QUIET = " --loop uvloop --http httptools --no-access-log --log-level error"

PEERS = (
    Peer(
        "FastAPI",
        "fastapi",
        "/predict",
        _workers(_UVICORN + _QUIET, 1, 2),
        _rows,
        _predictions,
    ),
    Peer(
        "LitServe",
        "litserve",
        "/predict",
        (
            Setup("1 worker", "python server.py {port} 1"),
            Setup("1 worker, fast queue", "python server.py {port} 1 fast"),
            Setup("2 workers, fast queue", "python server.py {port} 2 fast"),
        ),
        _rows,
        _predictions,
    ),
    Peer(
        "BentoML",
        "bentoml",
        "/predict",
        _workers(
            "bentoml serve server:Logistic --host 127.0.0.1 --port {port}",
            1,
            2,
            WORKERS="{workers}",
        ),
        _rows,
        list,
    ),
    Peer(
        "MLflow",
        "mlflow",
        "/invocations",
        _workers(
            "mlflow models serve -m model -h 127.0.0.1 -p {port} --env-manager local -w {workers}",
            1,
            2,
        ),
        lambda rows: {"inputs": rows},
        lambda answer: [pair[1] for pair in answer["predictions"]],
    ),
    Peer(
        "Ray Serve",
        "ray",
        "/",
        (
            Setup("1 replica", "python server.py {port} 1"),
            Setup("1 replica, throughput optimized", "python server.py {port} 1", _THROUGHPUT),
            Setup("2 replicas, throughput optimized", "python server.py {port} 2", _THROUGHPUT),
        ),
        _rows,
        _predictions,
    ),
    Peer(
        "MLServer",
        "mlserver",
        "/v2/models/logistic/infer",
        _workers(
            "mlserver start .",
            0,
            1,
            2,
            MLSERVER_PARALLEL_WORKERS="{workers}",
            MLSERVER_HOST="127.0.0.1",
            MLSERVER_HTTP_PORT="{port}",
            MLSERVER_GRPC_PORT="0",
            MLSERVER_METRICS_PORT="0",
        ),
        _inference_protocol,
        lambda answer: answer["outputs"][0]["data"][1::2],
    ),
)
