"""Arrays in, arrays out: detect, align, embed, judge. No state, no I/O but loading models."""
