"""How a command line is refused that cannot be a run."""

from __future__ import annotations


class NotMapped(Exception):
    """Part of a command that no run has, by its name, and what to do in its place."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy
