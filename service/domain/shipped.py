"""The scripts that come with the service and run in jobs, as text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def shipped(name: str) -> str:
    """One of `service.follow_ups`, by its name without `.py`."""
    return files("service.follow_ups").joinpath(f"{name}.py").read_text("utf-8")
