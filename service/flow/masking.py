"""What must not be seen of a run: the values of its secrets and the jobs' token, taken out of all that is kept."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from cryptography.fernet import InvalidToken

from service.domain import leak, mask
from service.domain.log_line import LogLine
from service.flow import callback
from service.flow.gate import Gate
from service.store.tables import Run

log = structlog.get_logger()


def secret_values(gate: Gate, run: Run) -> list[str]:
    """Longest first, so that no part of a longer one is left standing."""
    values = [gate.hub.job_token, callback.token_of(gate, run.id, run.attempt)]
    if run.sealed_secrets is not None:
        try:
            values += gate.vault.open(run.sealed_secrets).values()
        except InvalidToken:
            log.error("secrets_unreadable", run_id=run.id)
    return leak.secret_parts(values)


def masked(lines: Sequence[LogLine], secrets: Sequence[str]) -> list[LogLine]:
    """Lines as they are kept."""
    texts = mask.mask_lines([line.text for line in lines], secrets)
    return [LogLine(line.timestamp, text) for line, text in zip(lines, texts, strict=True)]
