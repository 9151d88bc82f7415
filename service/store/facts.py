"""Facts from the Hub, as last read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlmodel import Session, col, select

from service.domain.subject import Fact, Subject, fact_from_json
from service.store.tables import HubFact

KEPT = timedelta(days=30)


def known(session: Session, subjects: list[Subject], good_at: datetime | None) -> dict[Subject, Fact]:
    """What is known of these; with `good_at`, only what may still be relied on then."""
    names = {subject.name: subject for subject in subjects}
    query = select(HubFact).where(col(HubFact.subject).in_(list(names)))
    if good_at is not None:
        query = query.where(HubFact.good_until >= good_at)
    return {names[row.subject]: fact_from_json(names[row.subject].kind, row.fact) for row in session.exec(query)}


def keep(session: Session, found: Mapping[Subject, tuple[Fact, datetime]], now: datetime) -> None:
    """Take over what was just read, each with the time until which it may be relied on; the very old is dropped."""
    for subject, (fact, good_until) in found.items():
        row = HubFact(subject=subject.name, fact=fact.model_dump(mode="json"), read_at=now, good_until=good_until)
        session.merge(row)
    session.execute(delete(HubFact).where(col(HubFact.good_until) < now - KEPT))
