"""How long to wait before trying again."""

from __future__ import annotations

from datetime import timedelta

# Tries against Hugging Face: soon at first, never rarer than every five minutes.
HUB_BACKOFF_SECONDS = (5, 10, 20, 40, 80, 160, 300)

# A job that failed through no fault of its run: a node, a registry or the Hub is given time to come back.
RETRY_BACKOFF_SECONDS = (30, 120, 600, 1_800)

# Webhook deliveries: Standard Webhooks' example schedule, and for how long after its first failure one is tried.
DELIVERY_BACKOFF_SECONDS = (5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000)
DELIVERY_PATIENCE = timedelta(hours=72)


def hub_backoff(tries: int) -> timedelta:
    """The pause after the n-th failed try (n counts from 1)."""
    return timedelta(seconds=HUB_BACKOFF_SECONDS[min(tries, len(HUB_BACKOFF_SECONDS)) - 1])


def delivery_backoff(
    tries: int, failing_for: timedelta, jitter: float, asked: timedelta | None = None
) -> timedelta | None:
    """The pause after the n-th failed try of a delivery that has been failing for a time: by the schedule, or what its
    receiver asked for where that is longer, lengthened by `jitter` (0 to 1) of a fifth. The last try is 72 hours after
    the first failure; None means give up."""
    left = DELIVERY_PATIENCE - failing_for
    if left <= timedelta(0):
        return None
    planned = timedelta(seconds=DELIVERY_BACKOFF_SECONDS[min(tries, len(DELIVERY_BACKOFF_SECONDS)) - 1])
    return min(max(planned, asked or planned) * (1 + jitter / 5), left)


def retry_backoff(attempt: int) -> timedelta:
    """The pause before a run is tried again unchanged, after its n-th attempt has failed."""
    return timedelta(seconds=RETRY_BACKOFF_SECONDS[min(attempt, len(RETRY_BACKOFF_SECONDS)) - 1])
