"""A job's token must not be able to start jobs: a job with such a token could spend past every budget."""

from __future__ import annotations

from datetime import timedelta

import structlog

from service.flow.gate import Gate
from service.hub.faults import HubFault

log = structlog.get_logger()
CHECK_VALID_FOR = timedelta(hours=1)
TOO_BROAD = (
    "the token that jobs are given could start jobs itself, past every budget: an admin gives the service a job token "
    "with rights on repositories only, or sets TUNEGATE_ALLOW_BROAD_JOB_TOKEN=true"
)


def job_token_trouble(gate: Gate, namespace: str) -> str | None:
    """Why no job may be given the job token in this namespace, or None where all is well."""
    if gate.limits.allow_broad_job_token:
        return None
    known = gate.hub.job_token_checks.get(namespace)
    if known is None or gate.clock() - known[0] > CHECK_VALID_FOR:
        try:
            is_broad = gate.hub.job_token_may_start_jobs(namespace)
        except HubFault as error:
            return f"Hugging Face cannot be asked what the jobs' token may do: {error.message}"
        known = (gate.clock(), is_broad)
        gate.hub.job_token_checks[namespace] = known
        if is_broad:
            log.error("job_token_too_broad", namespace=namespace, problem=TOO_BROAD)
    return TOO_BROAD if known[1] else None
