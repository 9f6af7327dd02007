"""Small models that go well one after another, with numbers that add up in any order."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.workers.places import KMEANS, LINEAR, Place
from tests.workers.serve.replicas import CENTRES
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.algorithms.linear_learner.model import LinearModel
from tidemill.algorithms.pca.model import PcaModel
from tidemill.artifact.archive import MODEL, pack
from tidemill.artifact.codec import to_bytes
from tidemill.spec.model import Container
from tidemill.workers.serve.answers import DEFAULT_ACCEPT

PCA = KMEANS.replace("kmeans", "pca")
TURN = np.array([[0, 0, 1], [0, 2, 0], [1, 0, 0], [0.5, 0.5, 0.5]], np.float32)
"""Four columns to three."""
MODELS: dict[str, Any] = {
    "pca": PcaModel(TURN, np.ones(3, np.float32), None),
    "kmeans": KMeansModel(CENTRES),
    "linear-learner": LinearModel(
        "regressor", "squared_loss", np.array([1, -2, 4], np.float32), np.array(0.5, np.float32)
    ),
}
IMAGES = {"pca": PCA, "kmeans": KMEANS, "linear-learner": LINEAR}


def container(
    place: Place, algorithm: str, hostname: str = "", accept: str = "", **changes: object
) -> Container:
    """A container of one of the models, its artifact put into S3."""
    packed = pack(algorithm, {}, {MODEL: to_bytes(MODELS[algorithm])})
    uri = place.put(f"{algorithm}/model.tar.gz", packed)
    environment = {DEFAULT_ACCEPT: accept} if accept else {}
    return Container(IMAGES[algorithm], uri, environment, hostname, **changes)  # type: ignore[arg-type]
