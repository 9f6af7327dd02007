"""Latent Dirichlet allocation, SageMaker's lda: what the platform needs to know of it."""

from tidemill.algorithms.lda.declaration import DECLARATION as DECLARATION
