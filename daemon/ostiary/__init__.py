"""Ostiary: the software inside a face door."""

__version__ = "0.1.0"
