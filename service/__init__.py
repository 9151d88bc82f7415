"""Tunegate: a gate in front of Hugging Face Jobs."""
