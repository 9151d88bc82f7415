"""What somebody wants stopped: a person, or a rule. The steps do the rest."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, CursorResult
from sqlmodel import Session, col, select, update

from service.domain.run import Reason
from service.store.current import IS_CURRENT
from service.store.tables import Attempt, Run

# What becomes of a needed approval with such a cancel.
APPROVAL_AFTER = {Reason.APPROVAL_REFUSED: "refused", Reason.APPROVAL_EXPIRED: "expired"}


def request(
    session: Session,
    which: ColumnElement[bool],
    by: str,
    now: datetime,
    reason: Reason | None = None,
    message: str | None = None,
) -> int:
    """Note that someone wants these runs stopped; the steps do the rest. The first request counts. How many there
    were that nobody had wanted stopped before."""
    approval = {} if reason not in APPROVAL_AFTER else {"approval": APPROVAL_AFTER[reason]}
    result = session.exec(
        update(Run)
        .where(which, col(Run.cancel_requested_at).is_(None), col(Run.finished_at).is_(None))
        .values(
            cancel_requested_at=now,
            cancel_requested_by=by,
            cancel_reason=reason,
            cancel_message=message or f"cancelled at the request of {by}",
            **approval,
        )
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return int(result.rowcount)


def why(run: Run) -> Reason | None:
    """The rule that wanted it stopped; None where a person did."""
    return None if run.cancel_reason is None else Reason(run.cancel_reason)


def requested(session: Session, limit: int) -> list[tuple[Run, Attempt | None]]:
    """Runs that someone wants stopped and that have not ended, with their current attempt if they have one."""
    rows = session.exec(
        select(Run, Attempt)
        .join(Attempt, IS_CURRENT, isouter=True)
        .where(col(Run.cancel_requested_at).is_not(None), col(Run.finished_at).is_(None))
        .order_by(col(Run.cancel_requested_at))
        .limit(limit)
    )
    return [(run, attempt) for run, attempt in rows]
