"""The one row above all teams."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from service.store.shared import once
from service.store.tables import Organisation
from service.store.upsert import insert_unless_there

THE_ONE = 1


def read(session: Session) -> Organisation:
    """As it stands; the defaults where nobody has set anything yet."""
    return once(session, THE_ONE, lambda: session.get(Organisation, THE_ONE) or Organisation(**_defaults()))


def lock(session: Session) -> Organisation:
    """As it stands now, held until the transaction ends: admissions and changes of money are one after the other.
    Whoever also holds runs, windows or teams takes it first."""
    row = session.get(Organisation, THE_ONE, with_for_update=True, populate_existing=True)
    if row is None:
        insert_unless_there(session, Organisation, _defaults())
        row = session.get(Organisation, THE_ONE, with_for_update=True, populate_existing=True)
    assert row is not None
    return row


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
