"""Compiles the kernels into the wheel, which is then for this platform, whatever its Python 3."""

from __future__ import annotations

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

RECIPE = Path(__file__).parent / "build_kernels.py"


class Kernels(BuildHookInterface[Any]):
    def dependencies(self) -> list[str]:
        """A compiler from the package index where the machine has none."""
        return [] if _recipe()["compiler"]() else ["ziglang"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        _recipe()["build"]()
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"


def _recipe() -> dict[str, Any]:
    return runpy.run_path(str(RECIPE))
