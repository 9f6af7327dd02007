"""A virtual environment for each peer, beside ours: their requirements contradict one another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.measure import CACHE
from bench.peers.table import Peer

HERE = Path(__file__).parent


def programs(peer: Peer) -> Path:
    """Where the programs of the peer's virtual environment lie."""
    return CACHE / "peers" / peer.package / ".venv" / "bin"


def install(peer: Peer) -> None:
    """Make the virtual environment, unless it was made of the same requirements before.

    Takes up to some minutes. Raises RuntimeError with pip's last word.
    """
    wanted = (HERE / peer.package / "requirements.txt").read_bytes()
    place = programs(peer).parents[1]
    kept = place / "requirements.txt"
    if kept.exists() and kept.read_bytes() == wanted:
        return
    place.mkdir(parents=True, exist_ok=True)
    made = [sys.executable, "-m", "venv", "--clear", str(place / ".venv")]
    pip = [str(programs(peer) / "python"), "-m", "pip", "install", "--quiet", "-r", "/dev/stdin"]
    for command in (made, pip):
        done = subprocess.run(["nice", "-n", "10", *command], input=wanted, capture_output=True)
        if done.returncode:
            last = done.stderr.decode().strip().splitlines()[-1:]
            raise RuntimeError(f"not installed: {' '.join(last)}")
    kept.write_bytes(wanted)
