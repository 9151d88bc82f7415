"""billing: what Hugging Face billed for jobs that have ended, where the control token may read it.

Bills stand beside the charges and never change them. Hugging Face shows the present month of the token's own user; what
it does not show comes as a CSV file (`POST /billing/import`) or stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlmodel import Session

from service.flow.gate import Gate
from service.hub.faults import HubFault
from service.store import billing, credentials
from service.store.billing import Recorded

log = structlog.get_logger()
READ_AGAIN = timedelta(hours=1)
ASK_AGAIN = timedelta(minutes=10)  # no answer came
MAY_BE_ALLOWED = timedelta(days=1)  # the answer was no
NOT_ALLOWED = frozenset({401, 403, 404})


def run_once(gate: Gate) -> int:
    """Read the bills of all tokens, each once an hour across restarts; how many were new. A token that may not read
    them is no fault: it is tried again the next day."""
    with gate.db.read() as session:
        everyone = [None, *(row.team for row in credentials.every(session))]
    return sum(_read(gate, whose) for whose in everyone)


def _read(gate: Gate, whose: str | None) -> int:
    now = gate.clock()
    with gate.db.read() as session:
        next_at = billing.next_reading(session, whose)
    # A time far ahead was noted by a clock that went wrong: it must not silence this for ever.
    if next_at is not None and now < next_at <= now + MAY_BE_ALLOWED:
        return 0
    try:
        hub = gate.hub_of(whose)
        if not hub.governor.may_poll(now):
            return 0  # the rest of this rate-limit window is kept for submissions and cancels
        bills = hub.billed_jobs()
    except HubFault as error:
        _not_read(gate, whose, error, now)
        return 0
    recorded = gate.write(partial(_apply, whose=whose, bills=bills, now=now))
    tell(recorded, "hub")
    return recorded.changed


def tell(recorded: Recorded, source: str) -> None:
    """Log what came of it: a drift is a warning."""
    log.info("bills_read", source=source, matched=recorded.matched, changed=recorded.changed)
    for hub_job_id in recorded.drifted:
        log.warning("billing_drift", hub_job_id=hub_job_id, source=source)


def _apply(session: Session, whose: str | None, bills: Mapping[str, int], now: datetime) -> Recorded:
    billing.note_reading(session, whose, now, now + READ_AGAIN, None)
    return billing.record(session, bills, "hub", now)


def _not_read(gate: Gate, whose: str | None, error: HubFault, now: datetime) -> None:
    if error.status in NOT_ALLOWED:
        log.info("bills_not_readable", team=whose, status=error.status, problem=error.message)
        pause = MAY_BE_ALLOWED
    else:
        log.warning("bills_unavailable", team=whose, status=error.status, problem=error.message)
        pause = ASK_AGAIN
    work = partial(billing.note_reading, credentials=whose, now=now, next_at=now + pause, problem=error.message)
    gate.write(work)
