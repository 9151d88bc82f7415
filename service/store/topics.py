"""What a work is about, for those who wait for it: told within the work, heard once that is committed (`news.py`).

A topic is the id of a run (its events, its progress, its log), the feed, who may come in, or a step that has work.
"""

from __future__ import annotations

from sqlmodel import Session

Topics = frozenset[str]

# Where a session keeps what its work tells.
TOLD = "topics"
# More events of the feed have a position.
FEED = "feed"
# Whoever waits for anything looks: something may have been missed.
EVERYTHING: Topics = frozenset({"*"})
STEP = "step/"


def tell(session: Session, *topics: str) -> None:
    """Name what this work is about."""
    session.info.setdefault(TOLD, set()).update(topics)


def has_work(*steps: str) -> tuple[str, ...]:
    """The topics of these steps."""
    return tuple(f"{STEP}{name}" for name in steps)


def steps_of(topics: Topics) -> list[str]:
    """The steps among topics, by name."""
    return [topic.removeprefix(STEP) for topic in topics if topic.startswith(STEP)]


def entry(team: str | None) -> str:
    """Somebody of a team (an admin where None) may not come in any more."""
    return f"entry/{team or ''}"
