"""Why runs are where they are, where their own row does not say it: a cancel that is on its way, pauses above them, and
the first run of their lane."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from service.domain.moment import minute
from service.domain.run import Reason, RunState
from service.store import organisation
from service.store.shared import once
from service.store.tables import Lane, Run, Team

Why = tuple[str | None, str | None]


def reasons(session: Session, runs: Sequence[Run]) -> dict[str, Why]:
    """The reason and message of those runs whose row is not the whole story."""
    told = {run.id: _being_stopped(run) for run in runs if _is_being_stopped(run)}
    queued = [run for run in runs if run.state == RunState.QUEUED and run.id not in told]
    if not queued:
        return told
    above = organisation.read(session)
    names = {run.team for run in queued}
    paused = once(session, ("paused", *sorted(names)), lambda reader: _paused_teams(reader, names))
    firsts = _firsts(session, {run.lane for run in queued if run.is_ready})
    for run in queued:
        if above.paused_at is not None:
            told[run.id] = _paused("the queue", above.paused_by, above.paused_at, "an admin")
        elif (team := paused.get(run.team)) is not None:
            told[run.id] = _paused(f"team {team.name}", team.paused_by, team.paused_at, "a lead")
        elif run.is_ready:  # a pass tells those behind the first only where one of them may start
            first = firsts.get(run.lane)
            if first is not None and first.id != run.id and (first.rank, first.id) < (run.rank, run.id):
                told[run.id] = (first.reason, f"behind {first.id}, which goes first: {first.message}")
    return told


def _paused_teams(session: Session, names: Collection[str]) -> dict[str, Team]:
    found = session.exec(select(Team).where(col(Team.name).in_(names), col(Team.paused_at).is_not(None)))
    return {team.name: team for team in found}


def _is_being_stopped(run: Run) -> bool:
    return run.cancel_requested_at is not None and not RunState(run.state).is_terminal


def _being_stopped(run: Run) -> Why:
    return run.cancel_reason or Reason.CANCEL_REQUESTED.value, f"being stopped: {run.cancel_message}"


def _paused(what: str, by: str | None, at: datetime | None, who: str) -> Why:
    since = "" if at is None else f" since {minute(at)}"
    return Reason.PAUSED.value, f"{what} is paused by {by}{since}: nothing of it starts until {who} resumes it"


def _firsts(session: Session, lanes: Collection[str]) -> dict[str, Run]:
    """The first ready run of each of these lanes, in one statement: there may be as many as runs on a page."""
    if not lanes:
        return {}
    first = (
        select(Run.id)
        .where(col(Run.lane) == Lane.name, col(Run.is_ready).is_(True))
        .order_by(col(Run.rank), col(Run.id))
        .limit(1)
        .correlate(Lane)
        .scalar_subquery()
    )
    found = session.exec(select(Run).join(Lane, col(Run.id) == first).where(col(Lane.name).in_(lanes)))
    return {run.lane: run for run in found}
