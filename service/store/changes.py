"""Who changed what of a team or the organisation: an event for each change, with what was before and after, in its
transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.store import events
from service.store.tables import Organisation, Team


def tell(
    session: Session,
    whose: Organisation | Team,
    event_type: str,
    by: str,
    before: dict[str, Any],
    after: dict[str, Any],
    now: datetime,
) -> None:
    """Tell of a change of a team or of the organisation, whose row the caller holds; nothing where nothing changed."""
    session.add(whose)
    if before == after:
        return
    team = whose.name if isinstance(whose, Team) else None
    whose.sequence += 1
    session.flush()
    told = {"team": team, "by": by, "before": before, "after": after}
    subject = "organisation" if team is None else f"team/{team}"
    events.append(session, subject, team, whose.sequence, event_type, told, now)


def pause(session: Session, whose: Organisation | Team, by: str, now: datetime, stop: bool) -> None:
    """Pause a team or the whole queue, or resume it (`stop` False)."""
    before = {"paused": whose.paused_at is not None, "paused_by": whose.paused_by}
    whose.paused_at, whose.paused_by = (now, by) if stop else (None, None)
    name = "team" if isinstance(whose, Team) else "queue"
    event_type = f"{name}.paused" if stop else f"{name}.resumed"
    tell(session, whose, event_type, by, before, {"paused": stop, "paused_by": whose.paused_by}, now)
