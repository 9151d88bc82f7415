"""A job that nobody here asked for: noted with its dollars, and stopped where it must be. For `sweep` and `recover`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog

from service.domain.job import LABEL_INSTALLATION, LABEL_RUN, LABEL_SUBMISSION, LABEL_TEAM
from service.domain.place import Place
from service.domain.stray import DUPLICATED, Action, Kind, Seen, decide
from service.flow.gate import Gate
from service.hub.faults import HubFault
from service.hub.models import Job, JobPhase
from service.store import strays
from service.store.strays import Sighting
from service.store.tables import Run, Stray

log = structlog.get_logger()


@dataclass(frozen=True)
class Finding:
    """A stray job: what it is, what is to be done about it, and its run where there is one."""

    job: Job
    kind: Kind
    action: Action
    run_id: str | None
    team: str | None


def seen(job: Job) -> Seen:
    """A job as the rules see it."""
    return Seen(
        id=job.id,
        created_at=job.created_at,
        is_running=job.phase is JobPhase.RUNNING,
        installation=job.labels.get(LABEL_INSTALLATION),
        run_id=job.labels.get(LABEL_RUN),
        submission=job.labels.get(LABEL_SUBMISSION),
        copy_of=job.initiator_id if job.initiator_type == DUPLICATED else None,
    )


def finding(gate: Gate, job: Job, kind: Kind, run: Run | None) -> Finding:
    """What is to be done about a stray; `run` is whose it is."""
    is_ours = job.labels.get(LABEL_INSTALLATION) == gate.installation
    action = decide(kind, gate.limits.stray_policy, is_ours)
    if run is not None:
        return Finding(job, kind, action, run.id, run.team)
    # another installation's labels name another database's runs and teams
    named = job.labels if is_ours else {}
    return Finding(job, kind, action, named.get(LABEL_RUN), named.get(LABEL_TEAM))


def note(gate: Gate, place: Place, found: Finding) -> bool:
    """Note it as it stands and ask for its end where that is due, each time anew until it has ended. True: news."""
    row, is_news = gate.write(partial(strays.record, seen=_sighting(place, found), now=gate.clock()))
    if is_news:
        _tell(row)
    if row.action == Action.CANCELLED and row.ended_at is None and not found.job.phase.is_final:
        try:
            gate.hub_of(place.credentials).cancel_job(place.namespace, row.hub_job_id)
        except HubFault as error:
            log.error("stray_not_stopped", hub_job_id=row.hub_job_id, problem=error.message)
    return is_news


def look_again(gate: Gate, row: Stray, job: Job | None) -> bool:
    """A stray that was noted before, as it is now; `job` None: Hugging Face knows it no more. True: news."""
    if job is None:
        gate.write(partial(strays.gone, stray_id=row.id, now=gate.clock()))
        log.warning("stray_gone", hub_job_id=row.hub_job_id)
        return True
    return note(gate, strays.place_of(row), Finding(job, Kind(row.kind), Action(row.action), row.run_id, row.team))


def _sighting(place: Place, found: Finding) -> Sighting:
    job = found.job
    return Sighting(
        place=place,
        hub_job_id=job.id,
        kind=found.kind,
        action=found.action,
        run_id=found.run_id,
        submission=job.labels.get(LABEL_SUBMISSION),
        team=found.team,
        flavor=job.flavor,
        timeout_seconds=job.timeout_seconds,
        initiator="/".join(part for part in (job.initiator_type, job.initiator_id) if part) or None,
        started_at=job.started_at,
        has_ended=job.phase.is_final,
        ended_at=job.finished_at,
        was_cancelled=job.phase is JobPhase.CANCELLED,
    )


def _tell(row: Stray) -> None:
    log.warning(
        "stray_found" if row.ended_at is None else "stray_ended",
        kind=row.kind,
        action=row.action,
        hub_job_id=row.hub_job_id,
        namespace=row.namespace,
        run_id=row.run_id,
        cost_micro_usd=row.cost_micro_usd,
        stopped_micro_usd=row.stopped_micro_usd,
    )
