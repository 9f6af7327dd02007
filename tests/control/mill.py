"""A control plane for tests: real store, engine and processes, dummy workers, rounds by hand."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidemill.control import endpoint, endpoint_config, model, training_job
from tidemill.control.health import Health
from tidemill.control.reconcile.loop import Reconciler
from tidemill.control.verbs import Verbs
from tidemill.control.wakeup import Wakeup, ring
from tidemill.control.workers import Workers
from tidemill.engine.local import LocalEngine
from tidemill.spec.async_inference import AsyncInference
from tidemill.spec.endpoint import Endpoint, EndpointStatus
from tidemill.spec.endpoint_config import EndpointConfig, ProductionVariant
from tidemill.spec.home import Home
from tidemill.spec.model import Container, Model
from tidemill.spec.route import Route, from_json
from tidemill.spec.training_job import TrainingJob
from tidemill.store.base import Row
from tidemill.store.sql import SqlStore

REGION = "us-east-1"
IMAGE = "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1"
HERE = Path(__file__).parent
COMMANDS = {
    "train": (sys.executable, str(HERE / "dummy_train.py")),
    "serve": (sys.executable, str(HERE / "dummy_serve.py")),
}
PATIENCE = 30.0


@dataclass
class Mill:
    """root: the platform's home · clock_ahead: seconds that its clock is ahead of ours
    most_workers: of training jobs, at once
    """

    root: Path
    clock_ahead: float = 0.0
    most_workers: int = 8
    home: Home = field(init=False)
    store: SqlStore = field(init=False)
    verbs: Verbs = field(init=False)
    engine: LocalEngine = field(init=False)
    health: Health = field(init=False)
    wakeup: Wakeup | None = None

    def __post_init__(self) -> None:
        self.home = Home(self.root)
        for directory in (self.home.run, self.home.socket("control").parent):
            directory.mkdir(parents=True, exist_ok=True)
        self.store = SqlStore(f"sqlite:///{self.home.database}")
        bell = self.home.socket("control")
        self.verbs = Verbs(
            self.store, account="123456789012", clock=self.now, wake=lambda: ring(bell)
        )
        self.restart()

    def now(self) -> float:
        return time.time() + self.clock_ahead

    def restart(self) -> None:
        """A new reconciler that remembers nothing but what is stored."""
        self.engine = LocalEngine()
        self.health = Health(self.verbs.wake, period=0.05, timeout=0.2, misses=2)
        workers = Workers(self.engine, COMMANDS)
        self.reconciler = Reconciler(
            self.verbs, self.home, workers, self.health, most_workers=self.most_workers
        )

    @contextmanager
    def losing_what_it_writes(self) -> Iterator[None]:
        """As if the reconciler were killed just before it writes down what it has done."""
        told = self.store.update
        self.store.update = lambda row: row  # type: ignore[method-assign]
        yield
        self.store.update = told  # type: ignore[method-assign]

    def listen(self) -> None:
        self.wakeup = Wakeup(self.home.socket("control"))

    def run(self, over: threading.Event) -> None:
        """Be the loop, as the control plane's thread is."""
        self.listen()
        assert self.wakeup is not None
        self.reconciler.run(over, self.wakeup.wait)

    def until(self, ask: Callable[[], Any], tick: bool = True) -> Any:
        """Go round until the answer is true, and give it."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            if tick:
                self.reconciler.tick()
            if answer := ask():
                return answer
            time.sleep(0.01)
        raise AssertionError(f"nothing happened for {PATIENCE:.0f} s")

    def close(self) -> None:
        """End every worker, and let go of the store."""
        for kind in ("training_job", "endpoint"):
            statuses = [*(s.value for s in EndpointStatus), "InProgress", "Stopping"]
            for row in self.store.unfinished(kind, statuses):
                for handle in self.handles(row):
                    self.engine.stop(handle, 0.0)
                    self.until(lambda h=handle: self.engine.look(h), tick=False)
        if self.wakeup is not None:
            self.wakeup.close()
        self.store.close()

    def handles(self, row: Row) -> list[str]:
        state = row.document["state"]
        if row.kind == "training_job":
            return list(state["handles"].values())
        return [r["handle"] for r in state["replicas"].values() if r["handle"]]

    # Training jobs

    def train(self, name: str, image: str = IMAGE, **fields: Any) -> Row:
        given = {k: fields.pop(k) for k in ("instances", "max_seconds") if k in fields}
        job = TrainingJob(
            name=name,
            arn=self.verbs.arn("training_job", REGION, name),
            region=REGION,
            image=image,
            hyperparameters={k: str(v) for k, v in fields.items()},
            channels=(),
            output_uri="s3://bucket/out",
            **given,
        )
        return training_job.create(self.verbs, self.home, job, {"TrainingJobName": name}, {})

    def job(self, name: str) -> Row:
        return self.verbs.describe("training_job", REGION, name)

    def until_job(self, name: str, *statuses: str) -> Row:
        """The job once it stands so; secondary statuses count too."""

        def there() -> Row | None:
            row = self.job(name)
            return row if {row.status, row.document["state"]["secondary"]} & {*statuses} else None

        row: Row = self.until(there)
        return row

    # Endpoints

    def config(
        self,
        name: str,
        *variants: ProductionVariant,
        mode: str = "serve",
        asynchronous: AsyncInference | None = None,
    ) -> None:
        """A config, with models that answer ``s3://MODEL`` and behave by mode."""
        for variant in variants:
            if self.store.get("model", REGION, variant.model) is None:
                container = Container(IMAGE, f"s3://{variant.model}", {"mode": mode})
                arn = self.verbs.arn("model", REGION, variant.model)
                model.create(self.verbs, Model(variant.model, arn, REGION, (container,)), {}, {})
        arn = self.verbs.arn("endpoint_config", REGION, name)
        wanted = EndpointConfig(name, arn, REGION, variants, asynchronous=asynchronous)
        endpoint_config.create(self.verbs, wanted, {}, {})

    def serve(
        self,
        name: str,
        count: int = 1,
        mode: str = "serve",
        asynchronous: AsyncInference | None = None,
    ) -> Row:
        """An endpoint with one variant of that many replicas, of a config of the same name."""
        variant = ProductionVariant("main", f"{name}-model", count)
        self.config(name, variant, mode=mode, asynchronous=asynchronous)
        wanted = Endpoint(name, self.verbs.arn("endpoint", REGION, name), REGION, name)
        return endpoint.create(self.verbs, self.home, wanted, {"EndpointName": name}, {})

    def endpoint(self, name: str) -> Row:
        return self.verbs.describe("endpoint", REGION, name)

    def until_endpoint(self, name: str, status: str) -> Row:
        def there() -> Row | None:
            row = self.endpoint(name)
            return row if row.status == status else None

        row: Row = self.until(there)
        return row

    def routes(self) -> dict[str, Route]:
        table = from_json(self.home.routes.read_text())
        return {name: route for (_, name), route in table.routes.items()}
