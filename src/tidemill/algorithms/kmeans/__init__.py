"""k-means, SageMaker's kmeans: what the platform needs to know of it."""

from tidemill.algorithms.kmeans.declaration import DECLARATION as DECLARATION
