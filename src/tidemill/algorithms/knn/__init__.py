"""k-nearest neighbours, SageMaker's knn: what the platform needs to know of it."""

from tidemill.algorithms.knn.declaration import DECLARATION as DECLARATION
