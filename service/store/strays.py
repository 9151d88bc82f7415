"""Strays: what the sweep saw, what became of it, and who pays for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from service.domain.money import GRACE_MINUTES, elapsed_ms
from service.domain.place import Place
from service.domain.run import LIVE
from service.domain.stray import CHARGED, Action, Kind, bill
from service.store import budgets, credentials, flavors, ledger, organisation, windows
from service.store.batches import batches
from service.store.budgets import Owner
from service.store.current import IS_CURRENT
from service.store.ids import new_id
from service.store.ledger import StrayJob
from service.store.tables import Attempt, LedgerEntry, ReservationWindow, Run, Stray, Team


@dataclass(frozen=True)
class Sighting:
    """A stray as it was just seen. `ended_at` None although it has ended: Hugging Face gives
    no time. `was_cancelled`: it ended by a cancel."""

    place: Place
    hub_job_id: str
    kind: Kind
    action: Action
    run_id: str | None
    submission: str | None
    team: str | None
    flavor: str | None
    timeout_seconds: int | None
    initiator: str | None
    started_at: datetime | None
    has_ended: bool
    ended_at: datetime | None
    was_cancelled: bool


def record(session: Session, seen: Sighting, now: datetime) -> tuple[Stray, bool]:
    """Note a stray as it stands, and whether that is news: it was new, was dealt with otherwise, or has ended. Its
    cost is charged once, with its end; one whose price is not known yet stays open until it is."""
    organisation.lock(session)
    row = session.exec(select(Stray).where(Stray.hub_job_id == seen.hub_job_id).with_for_update()).first()
    is_news = row is None or (row.ended_at is None and row.action == Action.REPORTED != seen.action)
    row = row or _new(session, seen, now)
    if row.ended_at is not None:
        return row, False
    if row.action == Action.REPORTED:
        row.action = seen.action.value
    row.started_at = seen.started_at or row.started_at
    row.last_seen_at = now
    if row.price_per_minute_micro_usd is None and row.flavor is not None:
        row.price_per_minute_micro_usd = flavors.last_price(session, row.flavor)
    ended_at = (seen.ended_at or _latest_end(row, now)) if seen.has_ended else None
    cost = bill(row.price_per_minute_micro_usd, row.timeout_seconds, _running_ms(row, ended_at or now))
    row.minutes, row.cost_micro_usd = cost.minutes, cost.cost
    session.add(row)
    session.flush()
    if ended_at is None or not _pay(session, row, now):
        return row, is_news
    row.ended_at = ended_at
    if seen.was_cancelled and row.action == Action.CANCELLED:
        row.stopped_micro_usd = cost.beyond or 0
    session.add(row)
    session.flush()
    return row, True


def gone(session: Session, stray_id: str, now: datetime) -> None:
    """A stray that Hugging Face knows no more has ended, at the latest when its timeout ended it."""
    row = session.get(Stray, stray_id)
    assert row is not None
    seen = Sighting(
        place_of(row),
        row.hub_job_id,
        Kind(row.kind),
        Action(row.action),
        row.run_id,
        row.submission,
        row.team,
        row.flavor,
        row.timeout_seconds,
        row.initiator,
        row.started_at,
        has_ended=True,
        ended_at=None,
        was_cancelled=False,
    )
    record(session, seen, now)


def page(session: Session, kind: str | None, team: str | None, after: str | None, limit: int) -> list[Stray]:
    """Strays, latest found first."""
    query = select(Stray).order_by(col(Stray.id).desc()).limit(limit)
    if kind is not None:
        query = query.where(Stray.kind == kind)
    if team is not None:
        query = query.where(Stray.team == team)
    if after is not None:
        query = query.where(Stray.id < after)
    return list(session.exec(query))


def place_of(row: Stray) -> Place:
    """Where a stray is, and whose tokens see it."""
    return Place(row.credentials, row.namespace)


def open_ones(session: Session, place: Place) -> dict[str, Stray]:
    """Strays in a namespace that have not ended, whoever saw them, by job id."""
    rows = session.exec(select(Stray).where(Stray.namespace == place.namespace, col(Stray.ended_at).is_(None)))
    return {row.hub_job_id: row for row in rows}


def places(session: Session) -> set[Place]:
    """Where jobs of ours, or strays, may be live, or will be."""
    of_runs = session.exec(select(Run.credentials, Run.namespace).where(col(Run.state).in_(LIVE)).distinct())
    of_strays = session.exec(select(Stray.credentials, Stray.namespace).where(col(Stray.ended_at).is_(None)).distinct())
    return {Place(*row) for row in (*of_runs, *of_strays)} | credentials.places(session)


def oldest_unfinished(session: Session, namespace: str) -> datetime | None:
    """When the oldest run that has not ended was made, of a namespace."""
    return session.exec(
        select(func.min(Run.created_at)).where(Run.namespace == namespace, col(Run.state).in_(LIVE))
    ).one()


def runs_named(session: Session, run_ids: Collection[str]) -> dict[str, tuple[Run, Attempt | None]]:
    """Those of these runs that there are, with the attempt that each is on."""
    found: dict[str, tuple[Run, Attempt | None]] = {}
    for chunk in batches(sorted(set(run_ids))):
        rows = session.exec(select(Run, Attempt).join(Attempt, IS_CURRENT, isouter=True).where(col(Run.id).in_(chunk)))
        found.update((run.id, (run, attempt)) for run, attempt in rows)
    return found


def payers(session: Session, job_ids: Collection[str]) -> dict[str, str]:
    """By job id the run that pays for it: as its attempt's own job, or as a stray."""
    found: dict[str, str] = {}
    for chunk in batches(sorted(set(job_ids))):
        charged = col(Stray.kind).in_([kind.value for kind in CHARGED])
        for job_id, run_id in session.exec(
            select(Stray.hub_job_id, Stray.run_id).where(col(Stray.hub_job_id).in_(chunk), charged)
        ):
            if run_id is not None:
                found[job_id] = run_id
        for attempt in session.exec(select(Attempt).where(col(Attempt.hub_job_id).in_(chunk))):
            found[attempt.hub_job_id or ""] = attempt.run_id
    return found


def submissions_known(session: Session, submissions: Collection[str]) -> set[str]:
    """Those that the ledger knows: each is entered before its create call, and no entry is ever taken away."""
    known: set[str] = set()
    for chunk in batches(sorted(set(submissions))):
        known.update(session.exec(select(LedgerEntry.submission).where(col(LedgerEntry.submission).in_(chunk))))
    return known


def _new(session: Session, seen: Sighting, now: datetime) -> Stray:
    return Stray(
        id=new_id("stray", now),
        namespace=seen.place.namespace,
        credentials=seen.place.credentials,
        hub_job_id=seen.hub_job_id,
        kind=seen.kind.value,
        action=seen.action.value,
        run_id=seen.run_id,
        submission=seen.submission,
        team=seen.team if seen.team is not None and session.get(Team, seen.team) is not None else None,
        flavor=seen.flavor,
        timeout_seconds=seen.timeout_seconds,
        initiator=seen.initiator,
        first_seen_at=now,
        last_seen_at=now,
    )


def _latest_end(row: Stray, now: datetime) -> datetime:
    """No later than now, and no later than its timeout and the kill allowed."""
    if row.started_at is None or row.timeout_seconds is None:
        return now
    return min(now, row.started_at + timedelta(seconds=row.timeout_seconds, minutes=GRACE_MINUTES))


def _running_ms(row: Stray, until: datetime) -> int | None:
    if row.started_at is None:
        return None
    return elapsed_ms(row.started_at, until)


def _pay(session: Session, row: Stray, now: datetime) -> bool:
    """Charge an ended stray to its run's team, where it has one; False: its price is not known yet."""
    run = session.get(Run, row.run_id) if row.run_id is not None and row.kind in CHARGED else None
    if run is None or row.minutes == 0:
        return True
    if row.price_per_minute_micro_usd is None:
        return False
    own = session.exec(select(Attempt).where(Attempt.hub_job_id == row.hub_job_id)).first()
    minutes = row.minutes - ((own.minutes or 0) if own is not None else 0)  # those were charged with the attempt
    if minutes > 0:
        job = StrayJob(run.id, max(1, run.attempt), f"stray/{row.hub_job_id}", row.price_per_minute_micro_usd)
        ledger.charge_stray(session, job, minutes, _windows(session, run, row, now), now)
    return True


def _windows(session: Session, run: Run, row: Stray, now: datetime) -> list[str]:
    """The windows of the submission that it came from, or of the run's attempt, or else the present ones."""
    attempt = session.get(Attempt, (run.id, run.attempt))
    for submission in (row.submission, None if attempt is None else attempt.submission):
        linked = select(ReservationWindow.window_id).where(ReservationWindow.submission == submission)
        if submission is not None and (found := list(session.exec(linked))):
            return found
    return present_windows(session, run, now)


def present_windows(session: Session, run: Run, now: datetime) -> list[str]:
    """The windows that a run's money moves in now."""
    above = budgets.above(session, Owner(run.team, run.requested_by, run.origin))
    return [windows.ensure(session, budget, now).id for budget in above]
