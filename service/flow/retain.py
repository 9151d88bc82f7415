"""retain: logs of ended jobs are kept for a time and up to a size, the oldest go first; for a time logs of deliveries,
and endpoints of runs that are long over."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from service.flow.gate import Gate
from service.store import deliveries, logs, webhooks

# Longer than any letter is tried, so that what failed can be sent again.
DELIVERIES_KEPT = timedelta(days=30)
RUN_ENDPOINTS_KEPT = timedelta(days=7)


def run_once(gate: Gate) -> int:
    """Let go what is too old or too much; how many went."""
    now = gate.clock()
    before = now - gate.limits.log_age
    gone = gate.write(partial(logs.drop_old, before=before, most_bytes=gate.limits.all_logs_bytes))
    gone += gate.write(partial(deliveries.forget_old, before=now - DELIVERIES_KEPT))
    return gone + gate.write(partial(webhooks.forget_run_endpoints, before=now - RUN_ENDPOINTS_KEPT))
