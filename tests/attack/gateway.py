"""A gateway process on a home's socket, with nothing behind it that would start jobs."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import uvicorn

from tests.router.stand_in import ACCOUNT, KEY, SECRET
from tidemill.auth.credentials import Credentials
from tidemill.control.verbs import Verbs
from tidemill.gateway.app import build
from tidemill.spec.home import Home
from tidemill.store.features import FeatureRecords
from tidemill.store.metrics import MetricStore
from tidemill.store.run_metrics import RunMetrics
from tidemill.store.sql import SqlStore


def main() -> None:
    logging.basicConfig()
    home = Home(Path(sys.argv[1]))
    verbs = Verbs(
        SqlStore(f"sqlite:///{home.database}"), account=ACCOUNT, clock=time.time, wake=lambda: None
    )
    app = build(
        home=home,
        verbs=verbs,
        metrics=MetricStore(home.metrics),
        runs=RunMetrics(home.run_metrics),
        features=FeatureRecords(home.features),
        credentials=Credentials(KEY, SECRET),
        account=ACCOUNT,
    )
    uvicorn.run(
        app,
        uds=str(home.socket("gateway")),
        loop="uvloop",
        http="httptools",
        log_level="error",
        access_log=False,
    )


if __name__ == "__main__":
    main()
