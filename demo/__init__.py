"""The whole door at once: an embedded broker, a made-up camera and the real daemon.

Neither on the door nor part of the export: `python -m demo` runs from a checkout.
"""
