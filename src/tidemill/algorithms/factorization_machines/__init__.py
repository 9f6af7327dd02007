"""Factorization machines: what the platform needs to know of them."""

from tidemill.algorithms.factorization_machines.declaration import DECLARATION as DECLARATION
