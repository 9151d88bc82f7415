"""files: uploaded training files are stored in private dataset repositories, one for each, and deleted there.

A repository's name follows from the file's id, and what is there already is not sent again: whatever dies in between,
there is one repository. A run that names a file is parked until the file is stored, or fails with why it cannot be.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import structlog
from sqlmodel import Session, col, or_

from service.domain.backoff import hub_backoff
from service.domain.diagnosis.failure import failure
from service.domain.file_card import README, TRAIN, card
from service.domain.run import Reason, RunState
from service.flow.each import each
from service.flow.file_pairs import pair_up, take_back
from service.flow.gate import Gate, pollable
from service.hub.faults import HubFault, HubRefused
from service.store import files, runs
from service.store.tables import FineTuningJob, UploadedFile

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger()
BATCH = 20
# With the pauses of `hub_backoff` that is a good hour.
MOST_TRIES = 20
# Longer than any upload takes.
UNFINISHED_FOR = timedelta(hours=2)


def run_once(gate: Gate) -> int:
    """Store, pair and delete what is due; how many files moved on."""
    now = gate.clock()
    with gate.db.read() as session:
        has_expired = bool(files.expired(session, now))
        due = files.due(session, now, BATCH)
    if has_expired:
        due_again = gate.write(partial(_expire, now=now))
        log.info("files_expired", files=due_again)
    due = pollable(gate, due, lambda file: file.credentials)
    return sum(bool(each("files", file.id, partial(_see_to, gate, file))) for file in due)


def forget_unfinished(session: Session, now: datetime) -> int:
    """Uploads that a process did not live to finish."""
    return files.forget_unfinished(session, now - UNFINISHED_FOR)


@contextmanager
def on_disk(parts: Iterable[bytes]) -> Iterator[Path]:
    """These parts as a file that is gone afterwards."""
    with NamedTemporaryFile(prefix="tunegate-", suffix=".jsonl") as file:
        for part in parts:
            file.write(part)
        file.flush()
        yield Path(file.name)


def _see_to(gate: Gate, file: UploadedFile) -> bool:
    try:
        if file.deleted_at is not None:
            return _remove(gate, file)
        revision = file.revision or _store(gate, file)
        if file.state != "processed":
            gate.write(partial(_stored, file_id=file.id, revision=revision, now=gate.clock()))
            log.info("file_stored", file_id=file.id, repo=file.repo)
        return pair_up(gate, file)
    except HubFault as error:
        log.warning("file_not_stored", file_id=file.id, repo=file.repo, problem=error.message)
        gate.write(partial(_failed, file_id=file.id, error=error, now=gate.clock()))
        return False


def _store(gate: Gate, file: UploadedFile) -> str:
    """Bring a file to its repository; the commit that has it."""
    datasets = gate.hub_of(file.credentials).datasets
    head = datasets.make(file.repo)
    if head.files.get(TRAIN) == file.byte_count:  # sent before this process, or the one before it, could note it
        return head.sha
    with on_disk(files.content(gate.db, file.id)) as path:
        put: dict[str, Path | bytes] = {TRAIN: path, README: card(file.id, file.team, [])}
        return datasets.put(file.repo, put, head.sha, f"{file.id}: {file.examples} examples")


def _stored(session: Session, file_id: str, revision: str, now: datetime) -> None:
    file = files.lock(session, file_id)
    if file.deleted_at is not None:  # meanwhile: what was stored goes next
        return
    files.stored(session, file, revision)
    files.let_go(session, file.id, [None])
    files.wake_trainings(session, file.id, now)


def _remove(gate: Gate, file: UploadedFile) -> bool:
    take_back(gate, file)
    gate.hub_of(file.credentials).datasets.delete(file.repo)
    log.info("file_deleted", file_id=file.id, repo=file.repo)

    def gone(session: Session) -> bool:
        files.gone(session, files.lock(session, file.id), gate.clock())
        return True

    return gate.write(gone)


def _failed(session: Session, file_id: str, error: HubFault, now: datetime) -> None:
    """Try again later, or, where that leads nowhere, say so: to whoever asks for the file, and to runs that wait."""
    file = files.lock(session, file_id)
    file.tries, file.problem = file.tries + 1, f"Hugging Face did not take it: {error.message}"
    file.due_at = now + hub_backoff(file.tries)
    is_over = isinstance(error, HubRefused) or file.tries >= MOST_TRIES
    if is_over and file.deleted_at is None:
        file.due_at = None
        file.state = "error" if file.state == "uploaded" else file.state
        _fail_runs(session, file, now)
    session.add(file)


def _fail_runs(session: Session, file: UploadedFile, now: datetime) -> None:
    of_it = or_(col(FineTuningJob.training_file) == file.id, col(FineTuningJob.validation_file) == file.id)
    found = failure(
        Reason.DATASET_NOT_FOUND,
        file.problem,
        message=f"The file {file.id} could not be stored on the Hub.",
        remedy="Upload it again, and submit with the new one; GET /v1/files/{id} says what went wrong.",
    )
    for run in files.waiting_runs(session, of_it):
        runs.advance(
            session,
            run,
            RunState.FAILED,
            now=now,
            reason=found.cause,
            message=found.message,
            failure=found.as_json(),
            parked=None,
        )


def _expire(session: Session, now: datetime) -> int:
    free = [file for file in files.expired(session, now, hold=True) if not files.users_of(session, file.id)]
    for file in free:
        files.remove(session, file, now)
    return len(free)
