"""What becomes of a run that is to be made while an earlier one of the same schedule or trigger has not ended."""

from __future__ import annotations

from enum import StrEnum

# Behind an active run, so many wait at the most.
MOST_QUEUED = 10


class Overlap(StrEnum):
    """No run, a run that starts after it, or a run in its place."""

    SKIP = "skip"
    QUEUE = "queue"
    CANCEL_PREVIOUS = "cancel_previous"
