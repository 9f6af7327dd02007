"""Random cut forest, SageMaker's randomcutforest: what the platform needs to know of it."""

from tidemill.algorithms.randomcutforest.declaration import DECLARATION as DECLARATION
