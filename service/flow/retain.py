"""retain: logs of ended jobs are kept for a time and up to a size; the oldest go first."""

from __future__ import annotations

from functools import partial

from service.flow.gate import Gate
from service.store import logs


def run_once(gate: Gate) -> int:
    """Let go what is too old or too much; how many logs went."""
    before = gate.clock() - gate.limits.log_age
    return gate.write(partial(logs.drop_old, before=before, most_bytes=gate.limits.all_logs_bytes))
