"""Whom keys and sessions stood for a moment ago, so that a caller who sends much is not looked up each time.

What this process has changed since, whatever it was, makes everything be looked up anew: a key that is revoked here is
refused from the next request on. Another replica knows of it within `GOOD_FOR`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from service.store.sign_ins import Who

GOOD_FOR = timedelta(seconds=1)
MOST = 10_000
# The way, a secret's hash, and for which of their teams somebody with several calls.
Shown = tuple[str, str, str | None]


class Proven:
    """Of one process. `changes` is `Database.changes` as it was before the look-up."""

    def __init__(self) -> None:
        self._found: dict[Shown, tuple[Who, int, datetime]] = {}

    def find(self, shown: Shown, changes: int, now: datetime) -> Who | None:
        """Who it was, where that can be relied on still."""
        if (found := self._found.get(shown)) is None:
            return None
        who, at_changes, at = found
        return who if at_changes == changes and timedelta(0) <= now - at < GOOD_FOR else None

    def keep(self, shown: Shown, who: Who, changes: int, now: datetime) -> None:
        """They were looked up just now."""
        if len(self._found) >= MOST:
            self._found.clear()
        self._found[shown] = who, changes, now
