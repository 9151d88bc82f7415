"""How long to wait before trying again."""

from __future__ import annotations

from datetime import timedelta

# Tries against Hugging Face: soon at first, never rarer than every five minutes.
HUB_BACKOFF_SECONDS = (5, 10, 20, 40, 80, 160, 300)

# A job that failed through no fault of its run: a node, a registry or the Hub is given time to come back.
RETRY_BACKOFF_SECONDS = (30, 120, 600, 1_800)

# Webhook deliveries: Standard Webhooks' example schedule, 72 hours and more in all.
DELIVERY_BACKOFF_SECONDS = (5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)


def hub_backoff(tries: int) -> timedelta:
    """The pause after the n-th failed try (n counts from 1)."""
    return timedelta(seconds=HUB_BACKOFF_SECONDS[min(tries, len(HUB_BACKOFF_SECONDS)) - 1])


def delivery_backoff(tries: int, jitter: float) -> timedelta | None:
    """The pause after the n-th failed delivery, lengthened by `jitter` (0 to 1) of a fifth; None means give up."""
    if tries > len(DELIVERY_BACKOFF_SECONDS):
        return None
    return timedelta(seconds=DELIVERY_BACKOFF_SECONDS[tries - 1] * (1 + jitter / 5))


def retry_backoff(attempt: int) -> timedelta:
    """The pause before a run is tried again unchanged, after its n-th attempt has failed."""
    return timedelta(seconds=RETRY_BACKOFF_SECONDS[min(attempt, len(RETRY_BACKOFF_SECONDS)) - 1])
