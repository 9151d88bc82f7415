"""ended: the log of a running job has come to its end, as it does with its job. That job is looked at at once, not when
the next list comes. What no log tells, a job that is not followed or a connection that died, `watch` finds.
"""

from __future__ import annotations

from functools import partial

import structlog

from service.domain.place import Place
from service.flow import watch
from service.flow.each import beside
from service.flow.gate import Gate
from service.hub.faults import HubFault
from service.store import jobs
from service.store.tables import Attempt, Run

log = structlog.get_logger()


def run_once(gate: Gate) -> int:
    """Look once at every job whose log has ended since the last pass; how many runs moved."""
    over = set() if gate.followers is None else gate.followers.ended()
    if not over:
        return 0
    with gate.db.read() as session:
        found = jobs.of_jobs(session, {job.job_id for job in over})
    # as for `watch`: a restored backup may name a job that a later one has followed
    works = [
        (run.id, partial(_look, gate, run, attempt))
        for run, attempt in found
        if gate.start.lets(Place(run.credentials, run.namespace))
    ]
    return sum(map(bool, beside("ended", gate.width, works)))


def _look(gate: Gate, run: Run, attempt: Attempt) -> bool:
    try:
        return watch.look(gate, run, attempt)
    except HubFault as error:
        log.warning("watch_failed", run_id=run.id, problem=error.message)
        return False
