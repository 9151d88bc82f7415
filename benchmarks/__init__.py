"""Measurements, each a module to run: they write what they measured, and the command that repeats it."""
