"""One row, a hundred and a megabyte, in every form a request's body can have: requests a second.

The whole platform over HTTP: every request is signed and verified, and answered in kind. Beside
that, the bare decoding of the megabyte, and what the JSON parser makes of it, lists and numbers of
Python's, which is where other servers begin.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow
import pyarrow.parquet

from bench import load
from bench.measure import Row, interleaved, write
from bench.serving import COLUMNS, endpoint, measured, parts, signed
from tidemill.app import server
from tidemill.app.server_file import Server
from tidemill.data import content_type as types
from tidemill.data.request import decode
from tidemill.spec.home import Home

TASK = "bodies"
MEGABYTE = 1_000_000
SECONDS = 1.5
CONNECTIONS = 8


def main() -> None:
    """Measure and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        platform = server.start_detached(home, "127.0.0.1", 0, "123456789012")
        try:
            rows = _served(home, platform)
        finally:
            server.stop(home)
    write(TASK, rows + _decoded())


def _served(home: Home, platform: Server) -> list[Row]:
    url = f"{platform.url}/endpoints/{endpoint(home)}/invocations"
    found = []
    for size in ("1 row", "100 rows", "1 MB"):
        for media in WRITERS:
            body = _body(media, size)
            headers = signed(home, url, body, media, media)
            load.run(url, headers, body, connections=2, seconds=1)
            name = f"{size}, {len(body):,} bytes of {media}"
            row = measured(
                "tidemill", url, headers, body, CONNECTIONS, parts(home), SECONDS, (TASK, name)
            )
            found.append(row)
    return found


def _decoded() -> list[Row]:
    bodies = {media: _body(media, "1 MB") for media in WRITERS}
    runs: dict[str, Callable[[], Any]] = {
        media: lambda media=media: decode(bodies[media], media) for media in WRITERS
    }
    runs["orjson alone"] = lambda: orjson.loads(bodies[types.JSON])
    runs["orjson, to an array"] = lambda: np.array(
        [one["features"] for one in orjson.loads(bodies[types.JSON])["instances"]], np.float32
    )
    return [
        Row(TASK, "1 MB decoded", system, wall, cpu, figures={"MB/s": 1 / wall})
        for system, (wall, cpu, _) in interleaved(runs, repeats=9, warm_up=True).items()
    ]


def _body(media: str, size: str) -> bytes:
    """The body of so many rows, or of as many as fit."""
    if size != "1 MB":
        return WRITERS[media](_rows(int(size.split()[0])))
    sample = len(WRITERS[media](_rows(2000))) - len(WRITERS[media](_rows(1000)))
    return WRITERS[media](_rows(1000 * MEGABYTE // sample))


def _rows(count: int) -> Any:
    return np.random.default_rng(1).normal(size=(count, COLUMNS)).astype(np.float32).round(4)


def _texts(rows: Any) -> list[str]:
    return [",".join(f"{value:.4f}" for value in row) for row in rows.tolist()]


def _json(rows: Any) -> bytes:
    instances = ",".join(f'{{"features":[{text}]}}' for text in _texts(rows))
    return f'{{"instances":[{instances}]}}'.encode()


def _json_lines(rows: Any) -> bytes:
    return "".join(json.dumps({"features": row}) + "\n" for row in rows.tolist()).encode()


def _npy(rows: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, rows)
    return file.getvalue()


def _columns(rows: Any) -> Any:
    return pyarrow.table({f"c{i}": rows[:, i] for i in range(COLUMNS)})


def _parquet(rows: Any) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(_columns(rows), file, use_dictionary=False, compression="none")
    return file.getvalue()


def _arrow(rows: Any) -> bytes:
    sink = pyarrow.BufferOutputStream()
    table = _columns(rows)
    with pyarrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


WRITERS: dict[str, Callable[[Any], bytes]] = {
    types.JSON: _json,
    types.JSON_LINES: _json_lines,
    types.CSV: lambda rows: "\n".join(_texts(rows)).encode(),
    types.NPY: _npy,
    types.PARQUET: _parquet,
    types.ARROW: _arrow,
}


if __name__ == "__main__":
    main()
