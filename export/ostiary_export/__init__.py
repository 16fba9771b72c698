"""Builds Ostiary's models from their published weights, and proves them equal to the originals."""

__version__ = "0.1.0"
