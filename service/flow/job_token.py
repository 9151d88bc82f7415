"""A job's token must not be able to start jobs: a job with such a token could spend past every budget."""

from __future__ import annotations

from datetime import timedelta

import structlog

from service.domain.place import Place
from service.flow.gate import Gate
from service.hub.faults import HubFault
from service.store import credentials

log = structlog.get_logger()
CHECK_VALID_FOR = timedelta(hours=1)
TOO_BROAD = (
    "the token that jobs are given could start jobs itself, past every budget: an admin gives the service a job token "
    "with rights on repositories only, or sets TUNEGATE_ALLOW_BROAD_JOB_TOKEN=true"
)
TEAMS_TOO_BROAD = (
    "the team's token for jobs could start jobs itself, past every budget: PUT /teams/{team}/hf-credentials takes one "
    "with rights on repositories only; an admin may allow it there"
)


def job_token_trouble(gate: Gate, place: Place) -> str | None:
    """Why no job may be given the job token in this place, or None where all is well."""
    try:
        return _trouble(gate, place)
    except HubFault as error:
        return f"Hugging Face cannot be asked what the jobs' token may do: {error.message}"


def _trouble(gate: Gate, place: Place) -> str | None:
    hub = gate.hub_of(place.credentials)
    with gate.db.read() as session:
        own = credentials.get(session, place.credentials)
    if gate.limits.allow_broad_job_token or (own is not None and own.allow_broad_job_token):
        return None
    problem = TOO_BROAD if own is None else TEAMS_TOO_BROAD.format(team=own.team)
    known = hub.job_token_checks.get(place.namespace)
    if known is None or gate.clock() - known[0] > CHECK_VALID_FOR:
        known = (gate.clock(), hub.job_token_may_start_jobs(place.namespace))
        hub.job_token_checks[place.namespace] = known
        if known[1]:
            log.error("job_token_too_broad", namespace=place.namespace, team=place.credentials, problem=problem)
    return problem if known[1] else None
