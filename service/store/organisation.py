"""The one row above all teams."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, SQLModel, select

from service.store.shared import once
from service.store.tables import Organisation
from service.store.upsert import insert_unless_there

THE_ONE = 1
HELD = "organisation"


def read(session: Session) -> Organisation:
    """As it stands; the defaults where nobody has set anything yet."""
    return once(session, THE_ONE, lambda reader: reader.get(Organisation, THE_ONE) or Organisation(**_defaults()))


def lock(session: Session) -> Organisation:
    """As it stands now, held until the transaction ends: admissions and changes of money are one after the other.
    Whoever also holds runs, windows or teams takes it first."""
    held: Organisation | None = session.info.get(HELD)
    if held is not None and held in session:
        return held  # nobody else has changed it since
    row = session.get(Organisation, THE_ONE, with_for_update=True, populate_existing=True)
    if row is None:
        insert_unless_there(session, Organisation, _defaults())
        row = session.get(Organisation, THE_ONE, with_for_update=True, populate_existing=True)
    assert row is not None
    session.info[HELD] = row
    return row


def take_turn(session: Session) -> None:
    """`lock` for those who need no more of the row than their turn among all who take several: the cheapest way."""
    table = SQLModel.metadata.tables["organisation"]
    query = select(table.c.id).where(table.c.id == THE_ONE).with_for_update()
    if session.connection().execute(query).first() is None:
        lock(session)


def _defaults() -> dict[str, Any]:
    return {
        "id": THE_ONE,
        "time_zone": "UTC",
        "max_concurrent_runs": None,
        "max_concurrent_runs_by_flavor": {},
        "max_concurrent_runs_by_namespace": {},
        "counts_outside": False,
        "sequence": 0,
        "metered_micro_usd": 0,
        "charged_attempts": 0,
        "billed_attempts": 0,
        "drifted_attempts": 0,
    }
