"""retain: what is kept for a time only goes, the oldest first, some thousands at once: logs and series of ended jobs,
idempotency keys, logs of deliveries, endpoints of runs that are long over, sessions that have ended, uploads that were
never finished.

Runs, the ledger, events and the audit log stay for ever, and nothing here touches them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from sqlmodel import Session

from service.flow import files
from service.flow.gate import Gate
from service.store import deliveries, idempotency, logs, metrics, sign_ins, webhooks

# Longer than any letter is tried, so that what failed can be sent again.
DELIVERIES_KEPT = timedelta(days=30)
RUN_ENDPOINTS_KEPT = timedelta(days=7)
# Longer than anybody tries a request again: after it the same key makes another run.
KEYS_KEPT = timedelta(days=30)


def run_once(gate: Gate) -> int:
    """Let go what is too old or too much; how many went."""
    now = gate.clock()
    ended = now - gate.limits.log_age
    works: tuple[Callable[[Session], int], ...] = (
        partial(logs.drop_old, before=ended, most_bytes=gate.limits.all_logs_bytes),
        partial(metrics.drop_old, before=ended),
        partial(idempotency.forget_old, before=now - KEYS_KEPT),
        partial(deliveries.forget_old, before=now - DELIVERIES_KEPT),
        partial(webhooks.forget_run_endpoints, before=now - RUN_ENDPOINTS_KEPT),
        partial(sign_ins.forget_over, now=now),
        partial(files.forget_unfinished, now=now),
    )
    return sum(gate.write(work) for work in works)
