"""The whole door at once: an embedded broker, a made-up camera and the real daemon.

`python -m demo` runs from a checkout; neither the door nor the export needs it.
"""
