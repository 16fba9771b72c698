"""Ostiary: the software inside a face door."""

import os

# ONNX Runtime's wheels report each session to their maker unless this is set before they are
# imported. A door tells nobody what it sees.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
