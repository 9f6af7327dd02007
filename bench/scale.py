"""What a job of each built-in costs as the rows grow from 10^5 to 10^7: peak memory and CPU time.

One worker process, as the platform starts it, streaming objects of 10^5 rows. Memory ought to stay
where it is and the time to grow with the rows; boosting alone has to keep all rows (binned).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tests.workers.places import Place, job, recordio_bytes

from bench.measure import Row, write
from tidemill import registry
from tidemill.data.batch import Csr
from tidemill.data.recordio.encode import records
from tidemill.spec.channel import Channel

BLOCK, BLOCKS = 100_000, (1, 10, 100)
# Objects are rows/000 … rows/099: a prefix takes one, ten or all hundred of them.
PREFIXES = {1: "000", 10: "00", 100: "0"}
PROGRAM = """
import re, sys, time
from pathlib import Path
begun = time.perf_counter()
from tidemill.workers.train.__main__ import main
code = main(Path(sys.argv[1]))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print("COST", code, int(peak) / 1024, time.process_time(), time.perf_counter() - begun)
"""
RECORDIO = "application/x-recordio-protobuf"
JOBS: dict[str, tuple[str, dict[str, object], int]] = {
    "blazingtext": (
        "text",
        {"mode": "supervised", "epochs": 1, "vector_dim": 10, "word_ngrams": 1},
        100,
    ),
    "factorization-machines": (
        "sparse",
        {"feature_dim": 1000, "num_factors": 8, "predictor_type": "binary_classifier"},
        100,
    ),
    "kmeans": ("dense", {"k": 10, "feature_dim": 8}, 100),
    "knn": (
        "dense",
        {"k": 5, "sample_size": 50_000, "predictor_type": "classifier", "feature_dim": 8},
        100,
    ),
    "lda": ("counts", {"num_topics": 5, "feature_dim": 8, "mini_batch_size": 5000}, 100),
    "linear-learner": (
        "dense",
        {"predictor_type": "binary_classifier", "epochs": 1, "num_models": 4},
        100,
    ),
    "pca": ("dense", {"feature_dim": 8, "num_components": 4, "mini_batch_size": 5000}, 100),
    "randomcutforest": ("dense", {"feature_dim": 8}, 100),
    "xgboost": ("dense", {"num_round": 5, "objective": "binary:logistic"}, 10),
}


def rows(kind: str) -> bytes:
    """An object of BLOCK rows."""
    draws = np.random.default_rng(0)
    features = draws.normal(size=(BLOCK, 8)).astype(np.float32)
    labels = (features.sum(axis=1) > 0).astype(np.float32)
    if kind == "text":
        words = np.array([f"word{i}" for i in range(2000)])
        lines = words[draws.zipf(1.3, (BLOCK, 8)) % 2000]
        marks = np.where(draws.random(BLOCK) < 0.5, "__label__a ", "__label__b ")
        return "\n".join(m + " ".join(line) for m, line in zip(marks, lines, strict=True)).encode()
    if kind == "sparse":
        columns = np.sort(draws.integers(0, 125, (BLOCK, 8)) + np.arange(8) * 125, axis=1)
        ones = np.ones(BLOCK * 8, np.float32)
        csr = Csr(np.arange(0, BLOCK * 8 + 1, 8), columns.reshape(-1), ones, 1000)
        return b"".join(records(csr, labels))
    if kind == "counts":
        return recordio_bytes(draws.poisson(0.9, (BLOCK, 8)).astype(np.float32))
    return recordio_bytes(features, labels)


def cost(place: Place, name: str, asked: Mapping[str, object], prefix: str) -> list[float]:
    """Peak MB, CPU seconds and seconds of a job over the objects of a prefix."""
    content_type = "text/plain" if name == "blazingtext" else RECORDIO
    channels = [Channel("train", prefix, content_type=content_type)]
    home = place.train_task(job(name, asked, channels))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(home.root)], capture_output=True, text=True, check=True
    )
    _, code, *found = done.stdout.splitlines()[-1].split()
    if code != "0":
        raise SystemExit(done.stdout)
    return [float(f) for f in found]


def main() -> None:
    """Measure and write the table."""
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in dict.fromkeys(kind for kind, _, _ in JOBS.values()):
            body = rows(kind)
            names = [n for n in registry.names() if n in JOBS and JOBS[n][0] == kind]
            store = Place(Path(folder) / kind)
            for part in range(max(BLOCKS)):
                place_of = store.put(f"{kind}/{part:03d}", body).removesuffix(f"{part:03d}")
            for name in names:
                _, asked, most = JOBS[name]
                for blocks in (b for b in BLOCKS if b <= most):
                    place = Place(Path(folder) / f"{name}-{blocks}")
                    place.root.mkdir()
                    (place.root / "s3").symlink_to(store.root / "s3")
                    peak, cpu, wall = cost(place, name, asked, place_of + PREFIXES[blocks])
                    figures = {
                        "rows": f"{BLOCK * blocks:,}",
                        "peak MB": round(peak),
                        "rows/s": BLOCK * blocks / wall,
                    }
                    table.append(Row("scale", kind, name, wall, cpu, figures=figures))
    write("scale", table)


if __name__ == "__main__":
    main()
