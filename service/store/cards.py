"""Lineage cards that are still to be written."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from service.domain.run import RunState
from service.store.tables import Run


def due(session: Session, now: datetime, limit: int) -> list[Run]:
    """Succeeded runs whose card is due, the longest first."""
    query = (
        select(Run)
        .where(col(Run.card_due_at) <= now, Run.state == RunState.SUCCEEDED.value)
        .order_by(col(Run.card_due_at))
        .limit(limit)
    )
    return list(session.exec(query))
