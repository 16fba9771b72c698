"""Measures how well people are told apart, on a folder of pictures, one sub-folder a person.

Terms are those of ISO/IEC 19795-1. The daemon's own code makes descriptors of pictures, and says of
descriptors who it is.
"""
