"""What to do about a refusal: of a new request everything can be changed, of a queued run a few things."""

from __future__ import annotations

# What PATCH /runs/{id} takes.
CHANGEABLE = ("flavor", "priority", "timeout", "labels")


def otherwise(can: str, anew: str) -> str:
    """For a queued run: what a change of it can do, and what only a new run can be given."""
    return f"{can}. Otherwise submit it anew: {anew[0].lower()}{anew[1:]}."
