"""Scripts that run by the door's own Python, on whichever processor."""
