"""The money at the end: every reservation closed, every job paid for by what Hugging Face's own times say."""

from __future__ import annotations

import sqlite3

from tests.simulation import books, exposure
from tests.simulation.trace import demand
from tests.simulation.truth import Truth

ATTEMPTS = (
    "SELECT submission, hub_job_id, price_per_minute_micro_usd, timeout_seconds, metered_source FROM attempt ORDER BY 1"
)
CHARGED_STRAYS = (
    "SELECT hub_job_id, price_per_minute_micro_usd FROM stray WHERE ended_at IS NOT NULL AND started_at IS NOT NULL"
    " AND kind IN ('second_job', 'late_job', 'ended_run', 'started_by_job') AND run_id IN (SELECT id FROM run)"
    " AND hub_job_id NOT IN (SELECT hub_job_id FROM attempt WHERE hub_job_id IS NOT NULL)"
)


def check_conservation(database: sqlite3.Connection) -> None:
    """Each reservation was closed, once: charge + release = reserve + overrun. A stray had none."""
    for submission, kinds in books.by_submission(database).items():
        if "stray" in kinds:
            demand(set(kinds) == {"stray"}, 6, f"{submission} is a stray's, and has {sorted(kinds)}")
            continue
        sums = {kind: sum(amount for amount, _ in entries) for kind, entries in kinds.items()}
        charge, release, reserve, overrun = (sums.get(kind, 0) for kind in ("charge", "release", "reserve", "overrun"))
        for kind in ("reserve", "charge", "release"):
            count = len(kinds[kind])
            demand(count == 1 or (kind != "reserve" and count == 0), 6, f"{submission} has {count} entries of {kind}")
        demand(charge + release == reserve + overrun, 6, f"{submission} does not close: {sums}")
        demand(not (release and overrun), 6, f"{submission} ran over and was given money back: {sums}")
    for standing in books.standings(database).values():
        demand(standing.reserved == 0, 6, f"all has ended, and {standing.name} still holds {standing.reserved}")
        sums_ = (standing.entries_reserved, standing.entries_charged)
        demand((standing.reserved, standing.charged) == sums_, 6, f"{standing.name}: {standing}, its entries {sums_}")


def check_charges(database: sqlite3.Connection, truth: Truth) -> None:
    """What a job cost by Hugging Face's own times and the price that was frozen."""
    entries = books.by_submission(database)
    for submission, job_id, price, timeout, source in database.execute(ATTEMPTS).fetchall():
        kinds = entries[submission]
        charges, reserves = kinds.get("charge", []), kinds["reserve"]
        demand(reserves == [(exposure.ceiling(price, timeout), price)], 6, f"{submission} reserved {reserves}")
        if job_id is None:
            demand(not charges, 6, f"{submission} had no job, and was charged {charges}")
            continue
        job = truth.jobs[job_id]
        demand(timeout == job.spec.timeout_seconds, 6, f"{submission} is bounded by {timeout}, {job_id} is not")
        if source != "observed" and job.stage != exposure.GONE:
            expected, charged = exposure.cost(job, price), sum(amount for amount, _ in charges)
            demand(charged == expected, 6, f"{submission} was charged {charged}, its job cost {expected}")


def check_strays(database: sqlite3.Connection, truth: Truth) -> None:
    """A stray under a run's name is charged to that run's team, once, by its own times."""
    entries = books.by_submission(database)
    for job_id, price in database.execute(CHARGED_STRAYS).fetchall():
        job = truth.jobs[job_id]
        if job.stage == exposure.GONE or price is None:
            continue
        charged = sum(amount for amount, _ in entries[f"stray/{job_id}"]["stray"])
        expected = exposure.cost(job, price)
        demand(charged == expected, 6, f"the stray {job_id} cost {expected}, and was charged {charged}")
