"""What has to be true once everything has ended, read from the database as plain rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlmodel import Session, col, select

from service.domain.job import LABEL_SUBMISSION
from service.store.engine import open_engine
from service.store.tables import Attempt, BudgetWindow, Delivery, LedgerEntry, ReservationWindow, Run

# What an entry adds to a window's reserved and charged sums.
EFFECT = {"reserve": (1, 0), "release": (-1, 0), "charge": (-1, 1), "overrun": (1, 0), "stray": (0, 1)}


def wrongs(
    url: str, run_ids: Collection[str], jobs: Sequence[Mapping[str, str]], arrived: Collection[str]
) -> list[str]:
    """What is not as it must be: `run_ids` were accepted, `jobs` are the labels of all there are, `arrived` the ids of
    letters."""
    engine = open_engine(url)
    try:
        with Session(engine) as session:
            return [
                *_runs(session, run_ids),
                *_jobs(session, jobs),
                *_money(session),
                *_letters(session, arrived),
            ]
    finally:
        engine.dispose()


def _runs(session: Session, run_ids: Collection[str]) -> list[str]:
    states = {run.id: run.state for run in session.exec(select(Run))}
    lost = [f"{run_id} was accepted and is gone" for run_id in run_ids if run_id not in states]
    ended = ("succeeded", "failed", "cancelled")
    return lost + [f"{run_id} is {state}" for run_id, state in states.items() if state not in ended]


def _jobs(session: Session, jobs: Sequence[Mapping[str, str]]) -> list[str]:
    """One job for each attempt that had one, and none that no attempt knows."""
    made = Counter(labels.get(LABEL_SUBMISSION, "none") for labels in jobs)
    known = {attempt.submission for attempt in session.exec(select(Attempt)) if attempt.hub_job_id is not None}
    return [
        *(f"submission {one} has {number} jobs" for one, number in made.items() if number > 1),
        *(f"submission {one} has a job that its attempt does not know" for one in made.keys() - known),
        *(f"the job of submission {one} is nowhere" for one in known - made.keys()),
    ]


def _money(session: Session) -> list[str]:
    """Each reservation is closed once, and each window has the sums of its entries."""
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in session.exec(select(LedgerEntry)):
        reserved, charged = EFFECT[entry.kind]
        kinds[entry.submission][entry.kind] += 1
        sums[entry.submission].update(
            {"reserved": reserved * entry.amount_micro_usd, "charged": charged * entry.amount_micro_usd}
        )
    wrong = [
        f"submission {one}: {dict(found)}, {sums[one]['reserved']} micro-dollars are still reserved"
        for one, found in kinds.items()
        if sums[one]["reserved"] != 0 or max(found.values()) > 1
    ]
    of: dict[str, Counter[str]] = defaultdict(Counter)
    for bound in session.exec(select(ReservationWindow)):
        of[bound.window_id].update(sums[bound.submission])
    for window in session.exec(select(BudgetWindow)):
        stands = (window.reserved_micro_usd, window.charged_micro_usd)
        if stands != (of[window.id]["reserved"], of[window.id]["charged"]):
            wrong.append(f"window {window.id} has {stands}, its entries {dict(of[window.id])}")
    return wrong


def _letters(session: Session, arrived: Collection[str]) -> list[str]:
    states = Counter(session.exec(select(Delivery.state)))
    wrong = [f"{states[state]} letters are {state}" for state in ("pending", "failed") if states[state]]
    told = set(session.exec(select(Delivery.event_id).where(col(Delivery.state) == "delivered")))
    return wrong + ([f"{len(told - set(arrived))} letters never arrived"] if told - set(arrived) else [])
