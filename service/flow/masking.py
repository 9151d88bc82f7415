"""What must not be seen of a run: the values of its secrets and the jobs' token, taken out of all that is kept."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from cryptography.fernet import InvalidToken

from service.domain import leak, mask
from service.domain.log_line import LogLine
from service.flow import callback
from service.flow.gate import Gate
from service.flow.run_secrets import SecretsLost, own_values, referred
from service.hub.faults import HubUnavailable
from service.store.tables import Run

log = structlog.get_logger()


def secret_values(gate: Gate, run: Run) -> list[str]:
    """Longest first, so that no part of a longer one is left standing. Of what was replaced while the job runs, also
    what it was given."""
    values = [callback.token_of(gate, run.id, run.attempt)]
    for part in (_job_token, own_values, referred, _given):
        try:
            values += part(gate, run).values()
        except (SecretsLost, InvalidToken, HubUnavailable) as error:
            log.error("secrets_unreadable", run_id=run.id, problem=str(error) or type(error).__name__)
    return leak.secret_parts(values)


def _job_token(gate: Gate, run: Run) -> dict[str, str]:
    return {"HF_TOKEN": gate.hub_of(run.credentials).job_token}


def _given(gate: Gate, run: Run) -> dict[str, str]:
    return {} if run.sealed_given is None else gate.vault.open(run.sealed_given)


def masked(lines: Sequence[LogLine], secrets: Sequence[str]) -> list[LogLine]:
    """Lines as they are kept."""
    texts = mask.mask_lines([line.text for line in lines], secrets)
    return [LogLine(line.timestamp, text) for line, text in zip(lines, texts, strict=True)]
