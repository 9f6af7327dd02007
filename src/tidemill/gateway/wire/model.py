"""AWS's own description of its services, read from the data files that botocore carries.

The only place that knows of botocore, and of that only where its files lie: reading one service
costs 20 ms, importing botocore ten times that.
"""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from tidemill.errors import Missing

Description = dict[str, Any]


@dataclass(slots=True, eq=False)
class Shape:
    """A type. kind: structure, list, map, string, integer, long, float, double, boolean,
    timestamp, blob · low, high: bounds of the value, or of the length of text, lists and maps
    element: of a list · key, value: of a map · pattern: Java's, empty when there is none
    """

    name: str
    kind: str
    members: dict[str, Shape] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    element: Shape | None = None
    key: Shape | None = None
    value: Shape | None = None
    low: float | None = None
    high: float | None = None
    pattern: str = ""
    enum: tuple[str, ...] = ()
    union: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One call. wrapper: the XML element around a query answer · method, uri: of REST protocols
    places: members of the input that lie outside the body → (``uri``, ``querystring`` or
    ``header``, the name there)
    """

    name: str
    input: Shape | None
    output: Shape | None
    wrapper: str = ""
    method: str = "POST"
    uri: str = "/"
    places: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class Service:
    """One service's operations; shapes are made when they are first asked for."""

    def __init__(self, description: Description) -> None:
        self._operations: dict[str, Description] = description["operations"]
        self._descriptions: dict[str, Description] = description["shapes"]
        self._shapes: dict[str, Shape] = {}
        self._made: dict[str, Operation] = {}
        self.namespace: str = description["metadata"].get("xmlNamespace", "")

    @property
    def names(self) -> list[str]:
        """All operations, sorted."""
        return sorted(self._operations)

    def operation(self, name: str) -> Operation | None:
        """The operation of that name, or None."""
        if name not in self._made:
            said = self._operations.get(name)
            if said is None:
                return None
            self._made[name] = self._operation(name, said)
        return self._made[name]

    def _operation(self, name: str, said: Description) -> Operation:
        input, output = said.get("input", {}), said.get("output", {})
        return Operation(
            name,
            self.shape(input["shape"]) if input else None,
            self.shape(output["shape"]) if output else None,
            output.get("resultWrapper", ""),
            said["http"]["method"],
            said["http"]["requestUri"],
            self._places(input["shape"]) if input else {},
        )

    def _places(self, shape: str) -> dict[str, tuple[str, str]]:
        members = self._descriptions[shape].get("members", {})
        return {
            name: (said["location"], said.get("locationName", name))
            for name, said in members.items()
            if "location" in said
        }

    def shape(self, name: str) -> Shape:
        """The shape of that name; it may hold itself."""
        known = self._shapes.get(name)
        if known is not None:
            return known
        said = self._descriptions[name]
        shape = Shape(
            name,
            said["type"],
            required=tuple(said.get("required", ())),
            low=said.get("min"),
            high=said.get("max"),
            pattern=said.get("pattern", ""),
            enum=tuple(said.get("enum", ())),
            union=said.get("union", False),
        )
        self._shapes[name] = shape
        shape.members = {n: self.shape(m["shape"]) for n, m in said.get("members", {}).items()}
        shape.element, shape.key, shape.value = (
            self.shape(said[part]["shape"]) if part in said else None
            for part in ("member", "key", "value")
        )
        return shape


@lru_cache(maxsize=16)
def service(name: str) -> Service:
    """A service by botocore's name for it (``sagemaker``, ``logs``); raises Missing."""
    found = importlib.util.find_spec("botocore")
    places = (found.submodule_search_locations if found else None) or []
    for place in places:
        for version in sorted((Path(place) / "data" / name).glob("*"), reverse=True):
            packed = version / "service-2.json.gz"
            if packed.exists():
                return Service(orjson.loads(gzip.decompress(packed.read_bytes())))
            if (version / "service-2.json").exists():
                return Service(orjson.loads((version / "service-2.json").read_bytes()))
    raise Missing(
        "the data files of botocore",
        got=f"no description of {name!r}",
        do="Reinstall it: pip install --force-reinstall botocore",
    )
