"""Compile the kernels: each ``src/tidemill/kernels/NAME.c`` into a ``libNAME.so`` beside it.

``python build_kernels.py [NAME …]``; installing the package runs it too. The compiler is ``$CC``,
else ``cc``, else the one that the Python package ``ziglang`` brings.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FLAGS = (
    "-std=c11",
    "-O3",
    "-fPIC",
    "-shared",
    # Loops are vectorised where a pragma says that the order of a sum does not matter.
    "-fopenmp-simd",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wall",
    "-Wextra",
)
KERNELS = Path(__file__).resolve().parent / "src" / "tidemill" / "kernels"


def compiler() -> list[str] | None:
    """The command that compiles C, or None where there is none."""
    if given := os.environ.get("CC"):
        return shlex.split(given)
    if found := shutil.which("cc") or shutil.which("gcc") or shutil.which("clang"):
        return [found]
    has_zig = importlib.util.find_spec("ziglang") is not None
    return [sys.executable, "-m", "ziglang", "cc"] if has_zig else None


def build(
    directory: Path = KERNELS,
    names: Sequence[str] = (),
    *,
    into: Path | None = None,
    flags: Sequence[str] = (),
) -> list[Path]:
    """Compile the named kernels, or all; the libraries' paths.

    into: another directory for them · flags: further ones, such as a sanitizer's
    """
    command = compiler()
    if command is None:
        raise SystemExit("Tidemill's kernels need a C compiler; install gcc or clang, or set CC.")
    made = []
    for source in sorted(directory.glob("*.c")):
        if not names or source.stem in names:
            target = (into or directory) / f"lib{source.stem}.so"
            # Written beside and moved, for a library that is in use must not change under its user.
            fresh = target.with_suffix(f".{os.getpid()}.tmp")
            subprocess.run(
                [*command, *FLAGS, *flags, "-o", str(fresh), str(source), "-lm"], check=True
            )
            fresh.replace(target)
            made.append(target)
    return made


if __name__ == "__main__":
    print("\n".join(str(path) for path in build(names=sys.argv[1:])))
