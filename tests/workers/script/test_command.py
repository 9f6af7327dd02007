"""What is run for an entry point."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.script.test_environment import SITUATION
from tidemill.errors import Invalid
from tidemill.workers.script import distribution
from tidemill.workers.script.command import Kind, Torchrun, command, kind_of


@pytest.mark.parametrize(
    ("files", "entry", "kind"),
    [
        (["train.py"], "train.py", Kind.PROGRAM),
        (["train.py", "setup.py"], "train.py", Kind.PACKAGE),
        (["train.sh", "setup.py"], "train.sh", Kind.COMMAND),
        (["train"], "train", Kind.COMMAND),
    ],
)
def test_an_entry_point_is_known_by_its_name_and_source(
    tmp_path: Path, files: list[str], entry: str, kind: Kind
) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert kind_of(tmp_path, entry) is kind


def test_an_entry_point_that_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    (tmp_path / "main.py").touch()
    with pytest.raises(Invalid, match=r"'train.py' among \['main.py'\]"):
        kind_of(tmp_path, "train.py")


def test_torchrun_starts_a_process_a_gpu() -> None:
    words = command(Kind.PROGRAM, "python", "train.py", ["--k", "1"], Torchrun(4, 2, 1, "a", 7777))
    assert " ".join(words) == (
        "python -m torch.distributed.run --nnodes 2 --nproc_per_node 4 --master_addr a "
        "--master_port 7777 --node_rank 1 train.py --k 1"
    )
    with pytest.raises(Invalid, match="Python program"):
        command(Kind.PACKAGE, "python", "train.py", [], Torchrun(1, 1, 0, "a", 7777))


def test_distributions_that_there_are_not_are_refused() -> None:
    enabled = {"sagemaker_torch_distributed_enabled": True}
    assert distribution.of(enabled, SITUATION, "algo-1", 5) == Torchrun(1, 2, 0, "algo-1", 5)
    assert distribution.of({"sagemaker_mpi_enabled": False}, SITUATION, "algo-1", 5) is None
    with pytest.raises(Invalid, match="sagemaker_mpi_enabled"):
        distribution.of({"sagemaker_mpi_enabled": True}, SITUATION, "algo-1", 5)
