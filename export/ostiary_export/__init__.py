"""Builds Ostiary's models from their published weights, and proves them equal to the originals."""

import os

# ONNX Runtime's wheels report each session to their maker unless this is set before their import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
