"""The logs of jobs: read from Hugging Face while they run, kept here once they have ended."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import datetime
from functools import partial

import structlog
from cryptography.fernet import InvalidToken
from sqlmodel import Session

from service.domain import leak, progress
from service.domain.progress import Progress
from service.domain.run import RunState
from service.flow.each import each
from service.flow.gate import Gate
from service.hub.faults import HubFault
from service.hub.models import LogLine
from service.store import runs
from service.store.tables import Attempt, Run, RunLog

log = structlog.get_logger()

# One pass reads the few runs whose progress is oldest, each for a moment only.
SAMPLED_PER_PASS = 4
TAIL = 40
SILENCE_SECONDS = 1.5
MAX_SECONDS = 4.0


def run_once(gate: Gate) -> int:
    """Look at the last lines of some running jobs for step, loss and ETA; how many runs have news."""
    if not gate.hub.governor.may_poll(gate.clock()):
        return 0
    with gate.db.read() as session:
        running = runs.in_states(session, [RunState.RUNNING], 1000)
    running.sort(key=lambda row: row[1].log_read_at or row[1].admitted_at)
    chosen = running[:SAMPLED_PER_PASS]
    return sum(bool(each("logs", run.id, partial(_sample, gate, run, attempt))) for run, attempt in chosen)


def live_lines(gate: Gate, run: Run, attempt: Attempt, tail: int | None) -> list[LogLine]:
    """A running job's lines so far, masked. Raises HubFault."""
    assert attempt.hub_job_id is not None
    lines, _ = gate.hub.streams.log(
        run.namespace, attempt.hub_job_id, tail=tail, silence_seconds=SILENCE_SECONDS, max_seconds=MAX_SECONDS
    )
    return masked(lines, secret_values(gate, run))


def pack(lines: Iterable[LogLine]) -> bytes:
    """Lines as they are stored."""
    text = "\n".join(json.dumps([line.timestamp, line.text], ensure_ascii=False) for line in lines)
    return gzip.compress(text.encode("utf-8", "surrogatepass"), mtime=0)


def keep(session: Session, attempt: Attempt, packed: bytes, is_whole: bool) -> None:
    """Store an ended job's log."""
    session.merge(RunLog(run_id=attempt.run_id, attempt=attempt.attempt, lines=packed, is_whole=is_whole))


def kept_lines(session: Session, run_id: str, attempt: int) -> tuple[list[LogLine], bool] | None:
    """An ended job's log and whether it is whole; None where none was kept."""
    kept = session.get(RunLog, (run_id, attempt))
    if kept is None:
        return None
    text = gzip.decompress(kept.lines).decode("utf-8", "surrogatepass")
    return [LogLine(*json.loads(line)) for line in text.split("\n") if line], kept.is_whole


def secret_values(gate: Gate, run: Run) -> list[str]:
    """What must not be seen in this run's log, longest first, so that no part of a longer one is left standing."""
    values = [gate.hub.job_token]
    if run.sealed_secrets is not None:
        try:
            values += gate.vault.open(run.sealed_secrets).values()
        except InvalidToken:
            log.error("secrets_unreadable", run_id=run.id)
    return leak.secret_parts(values)


def masked(lines: Iterable[LogLine], secrets: Iterable[str]) -> list[LogLine]:
    """The lines with every secret value taken out."""
    secrets = list(secrets)
    return [LogLine(line.timestamp, leak.mask(line.text, secrets)) for line in lines]


def _sample(gate: Gate, run: Run, attempt: Attempt) -> bool:
    try:
        lines = live_lines(gate, run, attempt, TAIL)
    except HubFault as error:
        log.info("progress_unavailable", run_id=run.id, problem=error.message)
        lines = []
    known = Progress(**run.progress) if run.progress else None
    news = progress.read((line.text for line in lines), known)
    return gate.write(partial(_note, loaded=attempt, news=news, now=gate.clock()))


def _note(session: Session, loaded: Attempt, news: Progress, now: datetime) -> bool:
    if (found := runs.lock_submission(session, loaded.run_id, loaded.submission)) is None:
        return False
    run, attempt = found
    attempt.log_read_at = now
    session.add(attempt)
    if not news.is_known or run.progress == news.as_json():
        return False
    run.progress = news.as_json()
    session.add(run)
    return True
