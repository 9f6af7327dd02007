"""Serverless variants: which changes of an endpoint are allowed, and what its bounds become."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tidemill.control.plan.fleet import Deployed
from tidemill.errors import Invalid
from tidemill.spec.serverless import Serverless


def check(old: Iterable[Deployed], new: Iterable[Deployed]) -> None:
    """Raise Invalid where variants of instances would become serverless; AWS allows the reverse."""
    if any(v.serverless for v in new) and not all(v.serverless for v in old):
        raise Invalid(
            "an instance-based endpoint can not be updated to a serverless endpoint config",
            got="a config with ServerlessConfig",
            do="Create another endpoint with it.",
        )


def bound(variant: Deployed, concurrency: int | None, provisioned: int | None) -> Deployed:
    """The variant with other bounds, None leaving one; raises Invalid where there can be none."""
    if concurrency is None and provisioned is None:
        return variant
    if variant.serverless is None:
        raise Invalid(
            f"variant {variant.name!r} must be serverless to have a ServerlessUpdateConfig",
            got="a variant of instances",
            do="Give DesiredInstanceCount.",
        )
    changed = replace(
        variant.serverless,
        max_concurrency=concurrency or variant.serverless.max_concurrency,
        provisioned=provisioned or variant.serverless.provisioned,
    )
    fits(changed, variant.name)
    return replace(variant, serverless=changed)


def fits(wanted: Serverless, variant: str) -> None:
    """Raise Invalid where more is to be kept warm than may ever be asked at once."""
    if wanted.provisioned > wanted.max_concurrency:
        raise Invalid(
            f"ProvisionedConcurrency of variant {variant!r} must be at most its MaxConcurrency, "
            f"{wanted.max_concurrency}",
            got=wanted.provisioned,
            do="Lower it, or raise MaxConcurrency.",
        )
