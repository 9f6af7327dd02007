"""Which model of its endpoint's a request is for, where they are several."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.router import refusals
from tidemill.spec.route import Route, Variant

_PREFIX = "x-amzn-sagemaker-target-"
MODEL, CONTAINER, VARIANT = _PREFIX + "model", _PREFIX + "container-hostname", _PREFIX + "variant"
_MODEL, _CONTAINER = "TargetModel", "TargetContainerHostname"


def line(headers: Mapping[str, str]) -> str:
    """The end of a request frame's head: its fourth line, where the request has a target.

    >>> line({"x-amzn-sagemaker-target-model": "blue.tar.gz"})
    '\\nblue.tar.gz'
    """
    target = headers.get(MODEL) or headers.get(CONTAINER)
    return f"\n{target}" if target else ""


def problem(route: Route, headers: Mapping[str, str]) -> str:
    """What is wrong with the target of a request that has no problem else, or nothing."""
    for variant in route.variants:
        if (variant.targets or variant.multi_model) and not variant.shadow:
            return _of_several(route, headers)
    if MODEL in headers:
        return refusals.unmet(f"{_MODEL}, which needs a multi-model endpoint")
    if CONTAINER in headers:
        return refusals.unmet(f"{_CONTAINER}, which needs several containers")
    return ""


def _of_several(route: Route, headers: Mapping[str, str]) -> str:
    """Of an endpoint that has such variants: while it is updated, perhaps beside others."""
    able = _able(route, headers.get(VARIANT, ""))
    hostnames = [name for one in able for name in one.targets]
    wanted = headers.get(CONTAINER, "")
    if CONTAINER in headers and not hostnames:
        return refusals.unmet(f"{_CONTAINER}, which needs several containers")
    if wanted and wanted not in hostnames:
        return refusals.no_container(wanted, route.endpoint, hostnames)
    if not wanted and able and all(one.targets for one in able):
        return refusals.untold(_CONTAINER, route.endpoint, hostnames)
    if MODEL in headers and not any(one.multi_model for one in able):
        return refusals.unmet(f"{_MODEL}, which needs a multi-model endpoint")
    if not headers.get(MODEL) and able and all(one.multi_model for one in able):
        return refusals.untold(_MODEL, route.endpoint)
    return ""


def _able(route: Route, name: str) -> list[Variant]:
    """Those that could get the request. name: of the variant that it wants, or empty"""
    mine = [one for one in route.variants if not one.shadow]
    if name:
        return [one for one in mine if one.name == name]
    return [one for one in mine if one.weight > 0] or mine
