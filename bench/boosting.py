"""Boosting: a training job of the built-in xgboost beside the library called directly.

Both read the same files with the same settings, print every round's metrics and write the model,
each as a process of its own: what a script would take that a user writes instead of a job. The
trees are the same bytes, so the quality is, and ``overhead`` is all there is to tell: the job's CPU
seconds, and its wall seconds, over those of the script, less one.

The floor is the library: 100 rounds over 400,000 x 28 values are some 6 CPU seconds, of which the
bins' sketch takes a third; reading 46 MB of .npy takes 0.02 s, 120 MB of CSV 0.7 s. Importing the
library takes 1.2 s with scikit-learn and pandas, which it loads where they are installed, and 0.3 s
without, as workers do it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.workers.places import BUCKET, Place, job

from bench.measure import Row, data_directory, interleaved, write
from tidemill.artifact import archive
from tidemill.spec.channel import Channel

Table = NDArray[np.float32]
ROUNDS = 3
SETTINGS = {"objective": "binary:logistic", "max_depth": 6, "eta": 0.1, "tree_method": "hist"}
TREES = 100
COST = """
import re
from pathlib import Path
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print("PEAK", int(peak) / 1024)
"""
DIRECT = f"""
import sys
import numpy as np, xgboost
kind, train, held, model, threads = sys.argv[1:]
def read(path):
    if kind == "application/x-npy":
        return np.load(path)
    if kind == "application/x-parquet":
        import pyarrow.parquet
        table = pyarrow.parquet.read_table(path)
    else:
        import pyarrow.csv
        options = pyarrow.csv.ReadOptions(autogenerate_column_names=True)
        table = pyarrow.csv.read_csv(path, options)
    return np.column_stack([c.to_numpy().astype(np.float32, copy=False) for c in table.columns])
def matrix(path):
    table = read(path)
    return xgboost.DMatrix(table[:, 1:], table[:, 0])
rows, held_out = matrix(train), matrix(held)
settings = {SETTINGS} | {{"nthread": int(threads)}}
watched = [(rows, "train"), (held_out, "validation")]
xgboost.train(settings, rows, {TREES}, evals=watched).save_model(model)
{COST}
"""
JOB = f"""
import sys
from pathlib import Path
from tidemill.workers.lean import lean
from tidemill.workers.train.__main__ import main
lean()
code = main(Path(sys.argv[1]))
assert code == 0, code
{COST}
"""


@dataclass(frozen=True)
class Data:
    """train, test: tables with the label in the first column"""

    name: str
    train: Table
    test: Table


def adult() -> Data:
    """Categories as codes; missing ones as such."""
    import pandas as pd

    folder = data_directory()
    if folder is None or not (folder / "adult").exists():
        raise FileNotFoundError("no adult in TIDEMILL_BENCH_DATA")
    frame = pd.read_parquet(folder / "adult" / "adult.parquet")
    is_train = frame.pop("split").str.contains("train").to_numpy()
    label = frame.pop("income").str.contains(">50K").to_numpy()
    codes = [
        column.to_numpy(np.float32)
        if column.dtype.kind in "if"
        else column.astype("category").cat.codes.to_numpy(np.float32)
        for _, column in frame.items()
    ]
    table = np.column_stack([label, *codes]).astype(np.float32)
    return Data("adult", table[is_train], table[~is_train])


def synthetic(rows: int = 400_000) -> Data:
    """Like HIGGS: 28 columns, products and thresholds of which decide."""
    draws = np.random.default_rng(1)
    x = draws.standard_normal((rows + rows // 4, 28), dtype=np.float32)
    z = x @ draws.normal(size=28) * 0.4 + 1.2 * x[:, 0] * x[:, 1] - x[:, 2] * x[:, 3]
    z += np.sin(2 * x[:, 4]) + 0.7 * (x[:, 5] > 0.5) * x[:, 6] + draws.logistic(size=len(x))
    table = np.column_stack([z > 0, x]).astype(np.float32)
    return Data(f"synthetic {rows:,} x 28", table[:rows], table[rows:])


def write_npy(path: Path, table: Table) -> None:
    np.save(path.with_suffix(".npy"), table)
    path.with_suffix(".npy").rename(path)


def write_csv(path: Path, table: Table) -> None:
    import pyarrow
    import pyarrow.csv

    columns = {str(i): np.ascontiguousarray(c) for i, c in enumerate(table.T)}
    options = pyarrow.csv.WriteOptions(include_header=False)
    pyarrow.csv.write_csv(pyarrow.table(columns), path, options)


def write_parquet(path: Path, table: Table) -> None:
    import pyarrow
    import pyarrow.parquet

    columns = {str(i): np.ascontiguousarray(c) for i, c in enumerate(table.T)}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


WRITERS: Mapping[str, Callable[[Path, Table], None]] = {
    "application/x-npy": write_npy,
    "text/csv": write_csv,
    "application/x-parquet": write_parquet,
}


def environment() -> dict[str, str]:
    """What both run in: threads that sleep while they wait."""
    return {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}


def run(program: str, *arguments: str) -> float:
    """Run a process; its peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return float(done.stdout.rsplit("PEAK", 1)[1])


def area(table: Table, model: Path) -> float:
    """AUC of a model's file on the rows of a table."""
    import xgboost

    scores = xgboost.Booster(model_file=model).predict(xgboost.DMatrix(table[:, 1:]))
    order = np.argsort(scores, kind="stable")
    _, first, counts = np.unique(scores[order], return_index=True, return_counts=True)
    ranks = np.empty(len(scores))
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    positive = table[:, 0] > 0
    wins = ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    return float(wins / (positive.sum() * (~positive).sum()))


def compare(data: Data, kind: str, folder: Path) -> list[Row]:
    """The job and the script on files of one content type, in turn."""
    threads = len(os.sched_getaffinity(0))
    place, files = Place(folder / "place"), folder / "files"
    files.mkdir(parents=True)
    channels = []
    for name, table in (("train", data.train), ("validation", data.test)):
        WRITERS[kind](files / name, table)
        uri = place.put(f"{name}/rows", (files / name).read_bytes())
        channels.append(Channel(name, uri, content_type=kind))
    asked: dict[str, Any] = {**SETTINGS, "num_round": TREES}

    def run_job() -> float:
        home = place.train_task(job("xgboost", asked, channels))
        for stale in (home.checkpoints, home.root / "input"):
            subprocess.run(["rm", "-rf", str(stale)], check=True)
        return run(JOB, str(home.root))

    arguments = (kind, str(files / "train"), str(files / "validation"), str(files / "model.ubj"))
    timed = interleaved(
        {
            "xgboost called directly": lambda: run(DIRECT, *arguments, str(threads)),
            "tidemill job": run_job,
        },
        ROUNDS,
    )
    archive.unpack(place.buckets.path(BUCKET, "out/job/output/model.tar.gz"), folder / "model")
    models = {"xgboost called directly": files / "model.ubj"}
    ours = (folder / "model" / "xgboost-model").rename(folder / "ours.ubj")
    models["tidemill job"] = ours
    is_same = ours.read_bytes() == models["xgboost called directly"].read_bytes()
    base_wall, base_cpu, _ = timed["xgboost called directly"]
    return [
        Row(
            "boosting", f"{data.name}, {kind.rpartition('/')[2]}", system, wall, cpu,
            {"AUC": area(data.test, models[system])},
            {
                "peak MB": round(peak),
                "overhead CPU %": 100 * (cpu / base_cpu - 1),
                "overhead wall %": 100 * (wall / base_wall - 1),
            },
            "the same bytes" if is_same and system != "xgboost called directly" else "",
        )
        for system, (wall, cpu, peak) in timed.items()
    ]  # fmt: skip


def main() -> int:
    """``python -m bench.boosting [adult] [npy] [csv] [parquet]``: all when none is named."""
    wanted = sys.argv[1:] or ["adult", "npy", "csv"]
    try:
        import xgboost as library
    except ImportError as missing:
        print(f"skipped: {missing}")
        return 0
    print(f"xgboost {library.__version__}")
    table: list[Row] = []
    sets: list[tuple[Callable[[], Data], str]] = []
    if "adult" in wanted:
        sets.append((adult, "text/csv"))
    kinds = ("application/x-npy", "text/csv", "application/x-parquet")
    sets += [
        (synthetic, kind) for kind in kinds if kind.rpartition("/")[2].removeprefix("x-") in wanted
    ]
    for make, kind in sets:
        try:
            data = make()
        except FileNotFoundError as missing:
            print(f"skipped: {missing}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            table += compare(data, kind, Path(folder))
    write("boosting", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
