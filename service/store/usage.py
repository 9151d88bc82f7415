"""What was spent in a period, and what is held now, one row an attempt."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, exists, select

from service.domain.run import ACTIVE, RunState
from service.domain.usage import OPEN, STRAY, Spending, outcome
from service.store.current import IS_CURRENT
from service.store.tables import Attempt, LedgerEntry, Run


def charges(session: Session, since: datetime, until: datetime, team: str | None) -> list[Spending]:
    """Every charge, and every stray, that the ledger booked from `since` up to but not at `until`; of all teams where
    None. An attempt that never started has no charge; where it was billed all the same, it is here with a metered 0."""
    is_billed_for_nothing = (
        (col(LedgerEntry.kind) == "release")
        & (col(Attempt.cost_micro_usd) == 0)
        & (col(Attempt.minutes) == 0)
        & (col(Attempt.billed_micro_usd) > 0)
    )
    query = (
        select(
            LedgerEntry.run_id,
            LedgerEntry.attempt,
            LedgerEntry.kind,
            LedgerEntry.minutes,
            LedgerEntry.amount_micro_usd,
            LedgerEntry.at,
            Run.team,
            Run.requested_by,
            Run.flavor,
            Run.labels,
            Run.state,
            Run.attempt,
            Attempt.flavor,
            Attempt.cost_micro_usd,
            Attempt.cause,
            Attempt.billed_micro_usd,
        )  # type: ignore[call-overload]
        .join(Run, col(Run.id) == LedgerEntry.run_id)
        .join(Attempt, col(Attempt.submission) == LedgerEntry.submission, isouter=True)
        # said of the kind by itself, too: it stands before the time in the index
        .where(
            LedgerEntry.at >= since, LedgerEntry.at < until, col(LedgerEntry.kind).in_(("charge", "stray", "release"))
        )
        .where(col(LedgerEntry.kind).in_(("charge", "stray")) | is_billed_for_nothing)
    )
    if team is not None:
        query = query.where(Run.team == team)
    return [_charge(*row) for row in session.exec(query)]


def held(session: Session, team: str | None, now: datetime) -> list[Spending]:
    """Every reservation that is not closed yet."""
    closing = aliased(LedgerEntry)
    is_closed = exists().where(
        col(closing.submission) == LedgerEntry.submission, col(closing.kind).in_(("charge", "release"))
    )
    # By the few runs that are under way: the ledger has every reservation that ever was.
    mine = select(Attempt.submission).join(Run, IS_CURRENT).where(col(Run.state).in_([state.value for state in ACTIVE]))
    query = (
        select(LedgerEntry, Run, Attempt.flavor)
        .join(Attempt, col(Attempt.submission) == LedgerEntry.submission)
        .join(Run, col(Run.id) == Attempt.run_id)
        .where(col(LedgerEntry.submission).in_(mine), LedgerEntry.kind == "reserve", ~is_closed)
    )
    if team is not None:
        query = query.where(Run.team == team)
    return [
        Spending(run.id, run.team, run.requested_by, flavor, run.labels, OPEN, now, held=entry.amount_micro_usd)
        for entry, run, flavor in session.exec(query)
    ]


def _charge(
    run_id: str,
    attempt: int,
    kind: str,
    minutes: int,
    amount: int,
    at: datetime,
    team: str,
    user: str,
    run_flavor: str,
    labels: dict[str, str],
    state: str,
    last: int,
    flavor: str | None,
    cost: int | None,
    cause: str | None,
    billed: int | None,
) -> Spending:
    is_stray = kind == "stray" or flavor is None
    came_to = STRAY if is_stray else outcome(RunState(state), attempt == last, cost is not None, cause)
    if kind == "release":
        minutes = amount = 0
    return Spending(run_id, team, user, flavor or run_flavor, labels, came_to, at, minutes, amount, billed)
