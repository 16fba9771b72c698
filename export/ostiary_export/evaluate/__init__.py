"""How well people are told apart: measured on a folder of pictures, one sub-folder a person.

Terms are those of ISO/IEC 19795-1. From a picture to a descriptor, and from descriptors to who it
is, everything is the daemon's own code.
"""
