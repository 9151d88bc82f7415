"""What Hugging Face billed, beside what was metered: the only writer of `attempt.billed_micro_usd`.

A bill never changes a charge. Where the two differ, that is told as `billing.drift`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session, col, select

from service.domain.money import to_usd
from service.store import events, organisation
from service.store.batches import batches
from service.store.tables import Attempt, BillingReading, Event, Organisation, Run

DRIFT = "billing.drift"


@dataclass
class Recorded:
    """What came of some bills: jobs of ours, those of them whose bill was new, jobs that are not ours, jobs whose
    charge is still to come (their bill is not kept: it is read again), and the jobs newly found to drift."""

    matched: int = 0
    changed: int = 0
    unknown: int = 0
    unsettled: int = 0
    drifted: list[str] = field(default_factory=list)


def record(session: Session, bills: Mapping[str, int], source: str, now: datetime) -> Recorded:
    """Write bills (micro-USD by Hugging Face job id) to the attempts that they are for. Writing the same again changes
    nothing. `source`: `hub` or `import`."""
    organisation.lock(session)  # two writers of the same bills would tell of a drift twice
    recorded = Recorded()
    for job_ids in batches(bills):
        rows = session.exec(
            select(Attempt, Run)
            .join(Run, col(Run.id) == Attempt.run_id)
            .where(col(Attempt.hub_job_id).in_(job_ids))
            .order_by(col(Attempt.run_id), col(Attempt.attempt))
        ).all()
        recorded.unknown += len(set(job_ids) - {attempt.hub_job_id for attempt, _ in rows})
        for attempt, run in rows:
            _record_one(session, attempt, run, bills[str(attempt.hub_job_id)], source, now, recorded)
    return recorded


def next_reading(session: Session, credentials: str | None) -> datetime | None:
    """When Hugging Face is to be asked again with a team's tokens (None: the service's); None before the first time."""
    reading = session.get(BillingReading, credentials or "")
    return None if reading is None else reading.next_at


def note_reading(
    session: Session, credentials: str | None, now: datetime, next_at: datetime, problem: str | None
) -> None:
    """Keep when the bills were asked for, when to ask again, and what was wrong if they did not come."""
    whose = credentials or ""
    reading = session.get(BillingReading, whose) or BillingReading(credentials=whose, asked_at=now, next_at=next_at)
    reading.asked_at, reading.next_at, reading.problem = now, next_at, problem
    session.add(reading)


def _record_one(
    session: Session, attempt: Attempt, run: Run, billed: int, source: str, now: datetime, recorded: Recorded
) -> None:
    if attempt.cost_micro_usd is None:
        recorded.unsettled += 1
        return
    recorded.matched += 1
    recorded.changed += attempt.billed_micro_usd != billed
    _count(organisation.lock(session), attempt, billed)
    attempt.billed_micro_usd, attempt.billed_at = billed, now
    session.add(attempt)
    assert attempt.hub_job_id is not None
    if billed != attempt.cost_micro_usd and not _is_told(session, attempt.hub_job_id):
        recorded.drifted.append(attempt.hub_job_id)
        _tell(session, attempt, run, billed, source, now)


def _count(above: Organisation, attempt: Attempt, billed: int) -> None:
    """Move the sums over all attempts by what is new about this one's bill."""
    before, metered = attempt.billed_micro_usd, attempt.cost_micro_usd or 0
    if before is None:
        above.billed_attempts += (attempt.minutes or 0) > 0
    had = (before, before - metered) if before is not None else (0, 0)
    above.billed_micro_usd = (above.billed_micro_usd or 0) + billed - had[0]
    above.drift_micro_usd = (above.drift_micro_usd or 0) + billed - metered - had[1]
    above.drifted_attempts += (billed != metered) - (had[1] != 0)


def _is_told(session: Session, hub_job_id: str) -> bool:
    return session.exec(select(Event.id).where(Event.subject == hub_job_id).limit(1)).first() is not None


def _tell(session: Session, attempt: Attempt, run: Run, billed: int, source: str, now: datetime) -> None:
    metered = attempt.cost_micro_usd or 0
    data = {
        "run_id": run.id,
        "attempt": attempt.attempt,
        "hub_job": {"id": attempt.hub_job_id, "url": attempt.hub_job_url},
        "team": run.team,
        "flavor": attempt.flavor,
        "metered_usd": to_usd(metered),
        "billed_usd": to_usd(billed),
        "drift_usd": to_usd(billed - metered),
        "source": source,
    }
    # The job is the subject, told of once: a run's own events keep their sequence.
    events.append(session, str(attempt.hub_job_id), run.team, 1, DRIFT, data, now)
