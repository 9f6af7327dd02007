"""Linear learner, SageMaker's linear-learner: what the platform needs to know of it."""

from tidemill.algorithms.linear_learner.declaration import DECLARATION as DECLARATION
