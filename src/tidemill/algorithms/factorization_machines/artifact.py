"""The file that SageMaker's factorization machines leave, ``model_algo-1``: a ZIP for MXNet.

It holds ``symbol.json``, a graph that computes the scores, and ``params``, its arrays. Unpacked and
renamed to ``model-symbol.json`` and ``model-0000.params`` they are what ``mxnet.mod.Module.load``
takes; many programs only want ``v``, the factors, to look for items that are near to users.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.factorization_machines.hyperparameters import BINARY, NAME, REGRESSOR
from tidemill.algorithms.factorization_machines.model import FactorizationModel
from tidemill.artifact import ndarrays
from tidemill.data.batch import floats
from tidemill.errors import InvalidData

FILE, PARAMS, SYMBOL = "model_algo-1", "params", "symbol.json"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_MOST_BYTES = 16 << 30
_KINDS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}

_GRAPH: tuple[tuple[str, str, tuple[int, ...], dict[str, str]], ...] = (
    ("null", "data", (), {}),
    ("null", "w1_weight", (), {}),
    ("dot", "dot0", (0, 1), {}),
    ("null", "w0_weight", (), {}),
    ("broadcast_add", "broadcast_add0", (2, 3), {}),
    ("null", "v", (), {}),
    ("dot", "dot1", (0, 5), {}),
    ("square", "square0", (6,), {}),
    ("square", "square1", (0,), {}),
    ("square", "square2", (5,), {}),
    ("dot", "dot2", (8, 9), {}),
    ("elemwise_sub", "_minus0", (7, 10), {}),
    ("sum", "sum0", (11,), {"axis": "1", "keepdims": "True"}),
    ("_mul_scalar", "_mulscalar0", (12,), {"scalar": "0.5"}),
    ("elemwise_add", "_plus0", (4, 13), {}),
    ("null", "out_label", (), {}),
)
"""Half the squared sums of factors, less their sums of squares: operation, name, inputs."""
_OUTPUT = {BINARY: "LogisticRegressionOutput", REGRESSOR: "LinearRegressionOutput"}


def exports(model: FactorizationModel) -> Mapping[str, bytes]:
    """The model as SageMaker's own artifacts have it; the same model gives the same bytes."""
    arrays = {
        "arg:v": model.factors,
        "arg:w0_weight": np.array([model.bias], np.float32),
        "arg:w1_weight": model.linear[:, None],
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, blob in (
            (PARAMS, ndarrays.encode(arrays)),
            (SYMBOL, _symbol(model).encode()),
        ):
            file.writestr(zipfile.ZipInfo(name, _LONG_AGO), blob)
    return {FILE: packed.getvalue()}


def imports(directory: Path) -> FactorizationModel:
    """The model of an artifact that SageMaker's own algorithm trained. Raises InvalidData."""
    path = directory / FILE
    if not path.is_file():
        raise _error(
            f"an artifact with the file {FILE}", sorted(p.name for p in directory.iterdir())
        )
    params, symbol = _unpacked(path)
    held = {n.rpartition(":")[2]: a for n, a in ndarrays.decode(params, PARAMS).items()}
    v, w0, w1 = (held.get(name) for name in ("v", "w0_weight", "w1_weight"))
    if v is None or w0 is None or w1 is None or not _fit(v, w0, w1):
        shapes = {name: array.shape for name, array in held.items()}
        raise _error(
            "v of (columns, factors), w1_weight of (columns, 1), w0_weight of (1,)", shapes
        )
    is_binary = b"Logistic" in symbol or b"sigmoid" in symbol
    return FactorizationModel(
        BINARY if is_binary else REGRESSOR, float(w0.ravel()[0]), floats(w1.ravel()), floats(v)
    )


def _symbol(model: FactorizationModel) -> str:
    columns, factors = model.factors.shape
    shapes = {"v": (columns, factors), "w0_weight": (1,), "w1_weight": (columns, 1)}
    last = len(_GRAPH)
    graph = (*_GRAPH, (_OUTPUT[model.predictor_type], "out", (last - 2, last - 1), {}))
    nodes = []
    for op, name, inputs, attrs in graph:
        own = {"__shape__": str(shapes[name])} if name in shapes else attrs
        node = {"op": op, "name": name, "inputs": [[i, 0, 0] for i in inputs]}
        nodes.append({**node, "attrs": own} if own else node)
    return json.dumps(
        {
            "nodes": nodes,
            "arg_nodes": [i for i, (op, *_) in enumerate(graph) if op == "null"],
            "node_row_ptr": list(range(len(nodes) + 1)),
            "heads": [[last, 0, 0]],
            "attrs": {"mxnet_version": ["int", 10901]},
        }
    )


def _unpacked(path: Path) -> tuple[bytes, bytes]:
    """The files params and symbol.json."""
    try:
        with zipfile.ZipFile(path) as file:
            if sum(info.file_size for info in file.infolist()) > _MOST_BYTES:
                raise _error(f"{FILE} of at most {_MOST_BYTES} bytes", "more")
            kinds = {info.compress_type for info in file.infolist()}
            if not kinds <= _KINDS:  # the others may shrink anything to next to nothing
                raise _error(f"{FILE}, a ZIP whose files are deflated or stored", kinds)
            return file.read(PARAMS), file.read(SYMBOL)
    except (
        zipfile.BadZipFile,
        zlib.error,
        LookupError,
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
    ) as error:
        raise _error(f"{FILE}, a ZIP with {PARAMS} and {SYMBOL}", str(error)) from error


def _fit(v: NDArray[Any], w0: NDArray[Any], w1: NDArray[Any]) -> bool:
    finite = all(np.isfinite(a).all() for a in (v, w0, w1))
    return v.ndim == 2 and v.size > 0 and w0.size == 1 and w1.size == len(v) and finite


def _error(wanted: str, got: object) -> InvalidData:
    return InvalidData(
        f"{NAME}: {wanted}", got=got, do=f"Name the model.tar.gz that a {NAME} job made."
    )
