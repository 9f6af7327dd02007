"""The gateway as an ASGI application: the SageMaker API, and what AWS's clients need beside it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from tidemill.auth.access import Access
from tidemill.auth.credentials import Credentials
from tidemill.control import identity
from tidemill.control.offline_store import OfflineStore
from tidemill.control.verbs import Verbs
from tidemill.gateway.call import Platform
from tidemill.gateway.door import Door
from tidemill.gateway.inbox import Inbox
from tidemill.gateway.s3.app import S3
from tidemill.spec.home import Home
from tidemill.storage.bucket import Buckets
from tidemill.store.features import FeatureRecords
from tidemill.store.metrics import MetricStore
from tidemill.store.run_metrics import RunMetrics


def build(
    *,
    home: Home,
    verbs: Verbs,
    metrics: MetricStore,
    runs: RunMetrics,
    features: FeatureRecords,
    credentials: Credentials,
    account: str,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The application. verbs: over the store · account: 12 digits · clock: judges signatures."""
    offline = OfflineStore(verbs, features, Buckets(home.buckets, sync=True))
    access = Access(credentials, account)
    platform = Platform(
        home, verbs, Buckets(home.buckets), account, metrics, runs, features, offline, access
    )
    identity.publish(verbs.store, access, home.access, account)
    s3 = S3(platform.buckets, account, credentials.keys)
    door = Door(platform, s3, clock)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await s3.start()
        yield

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        inbox = Inbox(receive)
        try:
            response = await door(Request(scope, inbox))
        except ClientDisconnect:
            return  # nobody is left to answer
        await inbox.finish(response)
        await response(scope, inbox, send)

    return Starlette(routes=[Mount("/", serve)], lifespan=lifespan)
