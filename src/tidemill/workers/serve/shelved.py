"""A replica's shelf of models, as its task asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from tidemill.errors import Invalid
from tidemill.spec.home import WorkerHome
from tidemill.spec.model import Container
from tidemill.storage.bucket import Buckets
from tidemill.workers.serve.answers import DEFAULT_ACCEPT
from tidemill.workers.serve.ledger import Ledger
from tidemill.workers.serve.loaders import FRESH_LOADERS, LOADERS, Loaders
from tidemill.workers.serve.room import bounds
from tidemill.workers.serve.shelf import Shelf
from tidemill.workers.serve.storeroom import Storeroom
from tidemill.workers.serve.strikes import Strikes


def shelved(
    home: WorkerHome,
    buckets: Buckets,
    container: Container,
    timeout: float,
    complain: Callable[[str], None],
    ring: Callable[[], None],
) -> tuple[Shelf, str]:
    """The shelf, and what is served, in words.

    timeout: seconds that a request may take · ring: wakes who asks the shelf what is due
    Raises Invalid for a container without a prefix, or with variables that are no numbers.
    """
    if not container.model_uri:
        raise Invalid(
            "ModelDataUrl, the S3 prefix of the models", got=None, do="Name one with Mode."
        )
    accept = container.environment.get(DEFAULT_ACCEPT, "")
    strikes = Strikes(home.root / "opening.json", time.time)
    place = (container.model_uri, container.image, home.model)
    source = Storeroom(buckets, *place, complain, accept, strikes)
    limits = bounds(container.environment, home.model, timeout, keeps=container.cache)
    ledger = Ledger(home.shelf, time.monotonic)
    loaders = Loaders(LOADERS if limits.keeps else FRESH_LOADERS)
    return Shelf(source, limits, ledger, time.monotonic, loaders.start, ring), source.title
