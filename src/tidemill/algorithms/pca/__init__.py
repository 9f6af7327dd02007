"""Principal component analysis, SageMaker's pca: what the platform needs to know of it."""

from tidemill.algorithms.pca.declaration import DECLARATION as DECLARATION
