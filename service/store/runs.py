"""Runs and their attempts. `advance` is the only writer of a run's state."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, SQLModel, col, select, update

from service.domain.fairness import rank
from service.domain.run import ACTIVE, EVENT, Reason, RunState, how_it_ended, require_edge
from service.store import cancels, events, rows, terms
from service.store.arrival import describe_arrival
from service.store.current import IS_CURRENT
from service.store.describe import describe_run, told
from service.store.shared import once
from service.store.tables import Attempt, Dependency, Lane, Run
from service.store.upsert import insert_unless_there


@dataclass(frozen=True)
class Told:
    """Why a queued run waits, on which attempt, and for what it is parked, if it is."""

    run_id: str
    attempt: int
    reason: Reason
    message: str
    parked: str | None = None


def insert(session: Session, run: Run, now: datetime) -> dict[str, Any]:
    """A new run, with its first event; the run object as it arrives."""
    line_up(session, run)
    run.sequence = 1
    rows.insert(session, [run])
    terms.put(session, run)
    rows.adopt(session, run)
    arrival = describe_arrival(session, run, now)
    events.append(session, run.id, run.team, run.sequence, EVENT[RunState.QUEUED], told(arrival), now)
    if run.approval == "needed":
        tell(session, run, "run.awaiting_approval", now)
    return arrival


def tell(session: Session, run: Run, event_type: str, now: datetime, **more: Any) -> None:
    """Tell of what became of a run whose state stays; the caller holds it and has written it."""
    run.sequence += 1
    session.add(run)
    session.flush()
    _tell(session, run, event_type, now, **more)


def line_up(session: Session, run: Run) -> None:
    """Give a run its lane and its place there; anew after a change of its flavor or priority."""
    lane = {"team": run.team, "user": run.requested_by, "flavor": run.flavor, "namespace": run.namespace}
    name = "/".join([*lane.values(), *(["own"] if run.credentials else []), *([run.origin] if run.origin else [])])
    row = {"name": name, **lane, "credentials": run.credentials, "origin": run.origin or ""}
    once(session, ("lane", name), lambda reader: insert_unless_there(reader, Lane, row))
    run.lane = name
    run.rank = rank(run.created_at, run.priority)


def get(session: Session, run_id: str) -> Run | None:
    """One run."""
    return session.get(Run, run_id)


def some(session: Session, run_ids: Collection[str]) -> list[Run]:
    """Those of these runs that there are; no more than a page of them."""
    return list(session.exec(select(Run).where(col(Run.id).in_(run_ids))))


def children(session: Session, run_id: str) -> list[Run]:
    """The runs that belong to one."""
    return list(session.exec(select(Run).where(Run.parent == run_id).order_by(col(Run.id))))


def lock(session: Session, run_id: str) -> Run | None:
    """One run as it stands now, held until the transaction ends (SQLite's one writer holds everything anyway)."""
    return session.get(Run, run_id, with_for_update=True, populate_existing=True)


def claim(session: Session, run_id: str) -> Run | None:
    """The same for a run that nobody else holds just now; None where somebody does. Whoever holds the organisation's
    row waits for no run's: who holds that may be waiting for the organisation's."""
    return session.get(Run, run_id, with_for_update={"skip_locked": True}, populate_existing=True)


def lock_submission(session: Session, run_id: str, submission: str) -> tuple[Run, Attempt] | None:
    """A run with the attempt that it is on, held for a change; None where the attempt is no longer this submission or
    the run has ended: whoever acted on it was overtaken, and drops its work."""
    run = lock(session, run_id)
    if run is None or RunState(run.state).is_terminal:
        return None
    attempt = current_attempt(session, run)
    if attempt is None or attempt.submission != submission:
        return None
    return run, attempt


def advance(
    session: Session,
    run: Run,
    to: RunState,
    *,
    now: datetime,
    reason: Reason | None = None,
    message: str | None = None,
    event: str | None = None,
    **changes: Any,
) -> bool:
    """Move a run and tell of it, by another `event` than the state's own where that says more. False means someone
    moved it first: the caller drops its work.

    Ledger entries belong before this call, so that the event shows the money.
    """
    require_edge(RunState(run.state), to)
    wrote_output = run.output_repo is not None and run.state in ACTIVE and to not in ACTIVE
    values = {"state": to.value, "reason": reason, "message": message, **changes}
    if to in EVENT:
        values["sequence"] = run.sequence + 1
    if to.is_terminal:
        # A run that has ended needs no secrets any more.
        values = {"finished_at": now, **values, "sealed_secrets": None, "sealed_given": None, "not_before": None}
        if to is not RunState.SUCCEEDED or run.output_repo is None:
            values["card_due_at"] = None  # there is no model to write it to
    if not _guarded_update(session, run, values):
        return False
    if to.is_terminal:
        session.exec(
            update(Dependency)
            .where(col(Dependency.after_run_id) == run.id)
            .values(ended_as=to.value)
            .execution_options(synchronize_session=False)
        )
        if run.pilot is not None:  # it measures for nobody now
            message = f"{run.id}, whose pilot it is, {how_it_ended(to)} without it"
            is_its_pilot = (col(Run.parent) == run.id) & (col(Run.kind) == "pilot")
            cancels.request(session, is_its_pilot, "a rule", now, Reason.PARENT_ENDED, message)
    if wrote_output:
        unpark(session, "output", func.lower(Run.output_repo) == str(run.output_repo).lower())
    if to in EVENT:
        _tell(session, run, event or EVENT[to], now)
    return True


def tell_of_change(
    session: Session,
    run: Run,
    event_type: str,
    by: str,
    before: dict[str, Any],
    after: dict[str, Any],
    now: datetime,
) -> None:
    """Tell of what a person changed of a run that the caller holds; nothing where nothing changed."""
    session.add(run)
    if before != after:
        tell(session, run, event_type, now, by=by, before=before, after=after)


def _tell(session: Session, run: Run, event_type: str, now: datetime, **more: Any) -> None:
    data = {**told(describe_run(session, run, now)), **more}
    events.append(session, run.id, run.team, run.sequence, event_type, data, now)


def unpark(session: Session, what_for: str, which: ColumnElement[bool]) -> None:
    """Parked runs are looked at again: what they wait for (`output`, `price`, `money`) has come, or may have."""
    session.exec(
        update(Run)
        .where(col(Run.parked) == what_for, which)
        .values(parked=None)
        .execution_options(synchronize_session=False)
    )


def are_any_due(session: Session, now: datetime) -> bool:
    """Whether `wake_due` would find any."""
    return session.exec(select(Run.id).where(col(Run.not_before) <= now).limit(1)).first() is not None


def wake_due(session: Session, now: datetime) -> None:
    """Runs whose pause between two tries is over are looked at again. Ready ones say `backing_off` only where admission
    itself has said it of them."""
    was_backing_off = col(Run.reason) == Reason.BACKING_OFF.value
    session.exec(
        update(Run)
        .where(col(Run.not_before) <= now)
        .values(
            not_before=None,
            reason=case((was_backing_off, Reason.CHECKING.value), else_=col(Run.reason)),
            message=case((was_backing_off, "the gates are checked next"), else_=col(Run.message)),
        )
        .execution_options(synchronize_session=False)
    )


def explain(session: Session, run: Run, reason: Reason | None, message: str | None) -> bool:
    """Say anew why a run is where it is; nothing is written where nothing is new."""
    if (run.reason, run.message) == (reason, message):
        return False
    return _guarded_update(session, run, {"reason": reason, "message": message})


def explain_queued(session: Session, told: Sequence[Told]) -> None:
    """`explain` for many queued runs in one go, parking those that are to be. One that has moved on meanwhile is left
    alone. The caller leaves out those of which nothing is new."""
    if not told:
        return
    table = SQLModel.metadata.tables["run"]
    query = (
        table.update()
        .where(
            table.c.id == bindparam("of"),
            table.c.state == RunState.QUEUED.value,
            table.c.attempt == bindparam("on"),
        )
        .values(reason=bindparam("why"), message=bindparam("says"), parked=bindparam("until"))
    )
    rows = [
        {"of": one.run_id, "on": one.attempt, "why": one.reason, "says": one.message, "until": one.parked}
        for one in told
    ]
    session.connection().execute(query, rows)


def _guarded_update(session: Session, run: Run, values: dict[str, Any]) -> bool:
    session.flush()
    table = SQLModel.metadata.tables["run"]
    is_as_read = (table.c.id == run.id) & (table.c.state == run.state) & (table.c.attempt == run.attempt)
    if session.connection().execute(table.update().where(is_as_read).values(**values)).rowcount != 1:
        session.refresh(run)
        return False
    # The row is held by this transaction, so it is what was read and what was just written: it is not read again.
    for name, value in values.items():
        set_committed_value(run, name, str(value) if isinstance(value, StrEnum) else value)
    session.expire(run, ["is_ready"])  # the database's own work
    return True


def in_states(
    session: Session,
    states: Collection[RunState],
    limit: int,
    *which: ColumnElement[bool],
    first: Sequence[Any] = (),
) -> list[tuple[Run, Attempt]]:
    """Runs that have an attempt under way, with that attempt, longest admitted first, or in the order of `first`; of
    those, `which`."""
    rows = session.exec(
        select(Run, Attempt)
        .join(Attempt, IS_CURRENT)
        .where(col(Run.state).in_([state.value for state in states]), *which)
        .order_by(*first, col(Attempt.admitted_at), col(Run.id))
        .limit(limit)
    )
    return [(run, attempt) for run, attempt in rows]


def current_attempt(session: Session, run: Run) -> Attempt | None:
    """The attempt that a run is on."""
    return session.get(Attempt, (run.id, run.attempt)) if run.attempt else None
