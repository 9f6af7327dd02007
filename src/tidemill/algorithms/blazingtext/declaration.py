"""What the platform needs to know of blazingtext, its documented metrics among it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tidemill.algorithms.base import Declaration, MetricDeclaration
from tidemill.algorithms.blazingtext import fasttext_file, vector_files
from tidemill.algorithms.blazingtext.class_model import TextClasses
from tidemill.algorithms.blazingtext.dialogue import BlazingTextDialogue
from tidemill.algorithms.blazingtext.hyperparameters import NAME, BlazingTextHyperparameters
from tidemill.algorithms.blazingtext.learner import BlazingText
from tidemill.algorithms.blazingtext.model import BlazingTextModel
from tidemill.data import content_type as types
from tidemill.errors import InvalidData

_CLASSES, _BYTES, _TEXT = "model.bin", "vectors.bin", "vectors.txt"


def exports(model: BlazingTextModel) -> Mapping[str, bytes]:
    """The model as fastText and word2vec write theirs; nothing where they have no form for it."""
    if model.classes is not None:
        is_writable = fasttext_file.is_writable(model.classes)
        return {_CLASSES: fasttext_file.write(model.classes)} if is_writable else {}
    assert model.words is not None
    files = {
        _TEXT: vector_files.as_text(model.words),
        _BYTES: vector_files.as_bytes(model.words),
    }
    if model.words.is_judged:
        files["eval.json"] = vector_files.judgement(model.words)
    return files


def imports(directory: Path) -> BlazingTextModel:
    """A model that fastText, word2vec or BlazingText itself has written. Raises InvalidData."""
    for name in (_CLASSES, _BYTES, _TEXT):
        path = directory / name
        if not path.exists():
            continue
        data = path.read_bytes()
        if name == _CLASSES:
            found = fasttext_file.read(data, name)
            if isinstance(found, TextClasses):
                return BlazingTextModel(classes=found)
            return BlazingTextModel(words=found)
        read = vector_files.read_bytes if name == _BYTES else vector_files.read_text
        return BlazingTextModel(words=read(data, name))
    raise InvalidData(
        f"{NAME}: an artifact must hold one of {_CLASSES}, {_BYTES}, {_TEXT}",
        got=sorted(path.name for path in directory.iterdir()),
        do="Pack one of these files into model.tar.gz.",
    )


DECLARATION = Declaration(
    name=NAME,
    title="BlazingText",
    hyperparameters=BlazingTextHyperparameters,
    algorithm=BlazingText,
    model=BlazingTextModel,
    metrics=(
        MetricDeclaration("train:mean_rho", r"#mean_rho: (\S+)", "Maximize"),
        MetricDeclaration("validation:accuracy", r"#validation_accuracy: (\S+)", "Maximize"),
        MetricDeclaration("train:accuracy", r"#train_accuracy: (\S+)", "Maximize"),
    ),
    channels=("train", "validation"),
    content_types=(types.TEXT, types.JSON_LINES),
    default_content_type=types.TEXT,
    dialogue=BlazingTextDialogue(),
    exports=exports,
    imports=imports,
)
