"""Cameras on this machine, by the kernel's own interface, V4L2.

Why not OpenCV: it takes what the driver makes of a wish without saying what there was to wish for,
gives the driver's time-stamp without its clock, and waits ten seconds for a picture. Why not
linuxpy, the one well-kept binding for Python: its licence (GPL-3.0) would become the door's.
"""
