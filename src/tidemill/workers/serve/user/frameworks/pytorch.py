"""Handlers of the PyTorch container: tensors in, a TorchScript module, lists out."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from tidemill.workers.serve.user import bodies
from tidemill.workers.serve.user.defaults import Defaults


class Handlers(Defaults):
    """On the GPU where there is one."""

    def model_fn(self, model_dir: str) -> Any:
        """The TorchScript module in model.pt, or in the only .pt or .pth file."""
        path = _file(Path(model_dir))
        try:
            return _torch().jit.load(path, map_location=_device()).to(_device())
        except RuntimeError as error:
            raise RuntimeError(
                f"Failed to load {path}. Please ensure model is saved using torchscript."
            ) from error

    def input_fn(self, input_data: Any, content_type: str) -> Any:
        array = bodies.decode(input_data, content_type)
        is_text = bodies.is_text(content_type)
        made = _torch().FloatTensor(array) if is_text else _torch().from_numpy(array)
        return made.to(_device())

    def predict_fn(self, data: Any, model: Any) -> Any:
        with _torch().no_grad():
            model = model.to(_device())
            model.eval()
            return model(data.to(_device()))

    def output_fn(self, prediction: Any, accept: str) -> Any:
        if isinstance(prediction, _torch().Tensor):
            prediction = prediction.detach().cpu().numpy().tolist()
        return super().output_fn(prediction, accept)


def _file(directory: Path) -> Path:
    named = directory / "model.pt"
    if named.exists():
        return named
    found = [path for path in sorted(directory.iterdir()) if path.suffix in (".pt", ".pth")]
    if len(found) != 1:
        names = [path.name for path in found]
        raise ValueError(f"Exactly one .pth or .pt file is required for PyTorch models: {names}")
    return found[0]


def _device() -> Any:
    torch = _torch()
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _torch() -> Any:
    """Installed by whoever serves such models."""
    return importlib.import_module("torch")
