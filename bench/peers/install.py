"""A virtual environment for each peer, beside ours: their requirements contradict one another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.measure import CACHE
from bench.peers.table import Peer

HERE = Path(__file__).parent


def install(peer: Peer) -> Path:
    """Where the programs of the peer's virtual environment lie; made when first wanted, and anew
    when its requirements have changed. Takes up to some minutes then."""
    wanted = (HERE / peer.package / "requirements.txt").read_bytes()
    place = CACHE / "peers" / peer.package
    programs, kept = place / ".venv" / "bin", place / "requirements.txt"
    if kept.exists() and kept.read_bytes() == wanted:
        return programs
    place.mkdir(parents=True, exist_ok=True)
    pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "-r", "/dev/stdin"]
    made = [sys.executable, "-m", "venv", "--clear", str(place / ".venv")]
    for command in (made, pip):
        done = subprocess.run(["nice", "-n", "10", *command], input=wanted, capture_output=True)
        if done.returncode:
            last = done.stderr.decode().strip().splitlines()[-1:]
            raise RuntimeError(f"not installed: {' '.join(last)}")
    kept.write_bytes(wanted)
    return programs
