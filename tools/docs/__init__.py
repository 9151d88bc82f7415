"""Writes the pages of `docs/` that tell what the code says: `make docs`. Tests compare them with the code."""
