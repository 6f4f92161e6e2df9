"""Data sets: labelled images in [0, 1], read from files or decoded from bytes."""
