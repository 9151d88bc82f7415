"""Facts from the Hub, as last read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlmodel import Session, col, select

from service.domain.subject import Fact, Subject, fact_from_json
from service.store.credentials import version
from service.store.shared import once
from service.store.tables import HubFact

KEPT = timedelta(days=30)


def known(
    session: Session, credentials: str | None, subjects: list[Subject], good_at: datetime | None
) -> dict[Subject, Fact]:
    """What is known of these to those who use a team's own tokens as they are now (None: the service's); with
    `good_at`, only what may still be relied on then. What others' tokens may read says nothing here."""
    key = ("facts", credentials, good_at, *(subject.name for subject in subjects))
    return once(session, key, lambda reader: _known(reader, credentials, subjects, good_at))


def _known(
    session: Session, credentials: str | None, subjects: list[Subject], good_at: datetime | None
) -> dict[Subject, Fact]:
    names = {subject.name: subject for subject in subjects}
    mine = HubFact.read_as == version(session, credentials)
    query = select(HubFact).where(col(HubFact.subject).in_(list(names)), mine)
    if good_at is not None:
        query = query.where(HubFact.good_until >= good_at)
    return {names[row.subject]: fact_from_json(names[row.subject].kind, row.fact) for row in session.exec(query)}


def keep(session: Session, read_as: str, found: Mapping[Subject, tuple[Fact, datetime]], now: datetime) -> None:
    """Take over what was just read with tokens of this version, each with the time until which it may be relied on; the
    very old is dropped."""
    for subject, (fact, good_until) in found.items():
        row = HubFact(
            subject=subject.name,
            read_as=read_as,
            fact=fact.model_dump(mode="json"),
            read_at=now,
            good_until=good_until,
        )
        session.merge(row)
    session.execute(delete(HubFact).where(col(HubFact.good_until) < now - KEPT))
