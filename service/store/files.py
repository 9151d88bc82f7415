"""Uploaded files: their rows and pieces, what is to be done for them, and which runs wait for them."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, delete, or_, select

from service.domain.errors import NotFound
from service.domain.run import LIVE, RunState
from service.store import holds, parked, rows, runs, topics
from service.store.db import Database
from service.store.tables import FilePair, FilePiece, FineTuningJob, Run, UploadedFile

STEP = "files"
PIECE_BYTES = 2**20
# Shown to their owners: they have arrived, and nobody has deleted them.
_IS_THERE = (col(UploadedFile.state) != "arriving") & col(UploadedFile.deleted_at).is_(None)


def add_piece(session: Session, file_id: str, number: int, packed: bytes) -> None:
    """A further piece of a file that arrives, packed by zlib."""
    rows.insert(session, [rows.new(FilePiece, file_id=file_id, number=number, content=packed)])


def arrived(session: Session, file_id: str, now: datetime) -> UploadedFile:
    """All of it is here: the file is its team's from now on, and is stored next."""
    file = session.get_one(UploadedFile, file_id, with_for_update=True)
    file.state, file.due_at = "uploaded", now
    session.add(file)
    session.flush()
    topics.tell(session, *topics.has_work(STEP))
    return file


def forget(session: Session, file_id: str) -> None:
    """A file that did not arrive whole."""
    _drop_pieces(session, file_id)
    session.exec(delete(UploadedFile).where(col(UploadedFile.id) == file_id))


def forget_unfinished(session: Session, before: datetime) -> int:
    """What began to arrive before then and never did, as its process died; how many, one at a time."""
    is_left = (col(UploadedFile.state) == "arriving") & (col(UploadedFile.created_at) < before)
    file_id = session.exec(select(UploadedFile.id).where(is_left).limit(1)).first()
    if file_id is None:
        return 0
    forget(session, file_id)
    return 1


def find(session: Session, team: str | None, file_id: str, *, hold: bool = False) -> UploadedFile:
    """A file that a team has, or any team where None is named; `hold`: for a change. Raises NotFound."""
    query = select(UploadedFile).where(UploadedFile.id == file_id, _IS_THERE)
    file = session.exec(query.with_for_update() if hold else query).first()
    if file is None or team not in (None, file.team):
        raise NotFound(f"there is no file '{file_id}'", field="file_id", remedy="GET /v1/files lists yours.")
    return file


def page(
    session: Session, team: str | None, purpose: str | None, after: str | None, limit: int, *, newest_first: bool
) -> list[UploadedFile]:
    """A team's files by age, those beyond the file `after`."""
    file_id = col(UploadedFile.id)
    query = select(UploadedFile).where(_IS_THERE).limit(limit)
    query = query.order_by(file_id.desc() if newest_first else file_id)
    if team is not None:
        query = query.where(UploadedFile.team == team)
    if purpose is not None:
        query = query.where(UploadedFile.purpose == purpose)
    if after is not None:
        query = query.where(file_id < after if newest_first else file_id > after)
    return list(session.exec(query))


def content(db: Database, file_id: str) -> Iterator[bytes]:
    """Its content as far as it is still here, piece by piece: one at a time is in memory."""
    number = 0
    while True:
        with db.read() as session:
            piece = session.get(FilePiece, (file_id, number))
        if piece is None:
            return
        yield zlib.decompress(piece.content)
        number += 1


def users_of(session: Session, file_id: str) -> list[str]:
    """Runs that have not ended and train or evaluate on it."""
    names = or_(col(FineTuningJob.training_file) == file_id, col(FineTuningJob.validation_file) == file_id)
    query = select(Run.id).join(FineTuningJob, col(FineTuningJob.run_id) == Run.id)
    return list(session.exec(query.where(names, col(Run.state).in_(LIVE)).limit(5)))


def remove(session: Session, file: UploadedFile, now: datetime) -> None:
    """Nobody sees it any more; its repository goes next."""
    file.deleted_at = file.due_at = now
    file.tries = 0
    session.add(file)
    topics.tell(session, *topics.has_work(STEP))


def expired(session: Session, now: datetime, *, hold: bool = False) -> list[UploadedFile]:
    """Those whose time is over, some at once; `hold`: for a change."""
    is_over = (col(UploadedFile.expires_at) <= now) & _IS_THERE
    query = select(UploadedFile).where(is_over).order_by(col(UploadedFile.expires_at)).limit(100)
    return list(session.exec(query.with_for_update() if hold else query))


def due(session: Session, now: datetime, limit: int) -> list[UploadedFile]:
    """Those that something is to be done for, longest due first."""
    query = select(UploadedFile).where(col(UploadedFile.due_at) <= now, col(UploadedFile.state) != "arriving")
    return list(session.exec(query.order_by(col(UploadedFile.due_at), col(UploadedFile.id)).limit(limit)))


def lock(session: Session, file_id: str) -> UploadedFile:
    """One as it stands now, held for a change."""
    return session.get_one(UploadedFile, file_id, with_for_update=True, populate_existing=True)


def ask_for_pair(session: Session, training: UploadedFile, validation: UploadedFile, now: datetime) -> FilePair:
    """The pair of two files of a team; new, its copy is made next."""
    pair = session.get(FilePair, (training.id, validation.id))
    if pair is None:
        pair = FilePair(training_id=training.id, validation_id=validation.id)
        session.add(pair)
        training.due_at = training.due_at or now
        session.add(training)
        session.flush()
        topics.tell(session, *topics.has_work(STEP))
    return pair


def pairs_of(session: Session, training_id: str) -> list[tuple[FilePair, UploadedFile]]:
    """What a training file is paired with, with the validation files."""
    query = select(FilePair, UploadedFile).join(UploadedFile, col(UploadedFile.id) == FilePair.validation_id)
    found = session.exec(query.where(FilePair.training_id == training_id).order_by(col(FilePair.validation_id)))
    return [(pair, file) for pair, file in found]


def copied_to(session: Session, validation_id: str) -> list[UploadedFile]:
    """Training files, not deleted, that hold a copy of a validation file."""
    query = select(UploadedFile).join(FilePair, col(FilePair.training_id) == UploadedFile.id)
    is_copied = (col(FilePair.validation_id) == validation_id) & col(FilePair.revision).is_not(None)
    return list(session.exec(query.where(is_copied, col(UploadedFile.deleted_at).is_(None))))


def wake_trainings(session: Session, validation_id: str, now: datetime) -> None:
    """Training files that wait for a validation file are looked at."""
    waiting = select(FilePair.training_id).where(
        FilePair.validation_id == validation_id, col(FilePair.revision).is_(None)
    )
    is_waiting = col(UploadedFile.id).in_(waiting) & col(UploadedFile.due_at).is_(None)
    session.exec(update(UploadedFile).where(is_waiting).values(due_at=now).execution_options(synchronize_session=False))
    topics.tell(session, *topics.has_work(STEP))


def stored(session: Session, file: UploadedFile, revision: str) -> None:
    """It is in its repository: what is kept of it here goes."""
    file.state, file.revision, file.problem, file.tries, file.due_at = "processed", revision, None, 0, None
    session.add(file)
    _drop_pieces(session, file.id)


def gone(session: Session, file: UploadedFile, now: datetime) -> None:
    """Its repository is deleted, or was never made."""
    file.gone_at, file.due_at, file.problem = now, None, None
    session.add(file)
    _drop_pieces(session, file.id)
    of_it = or_(col(FilePair.validation_id) == file.id, col(FilePair.training_id) == file.id)
    session.exec(delete(FilePair).where(of_it))


def waiting_runs(session: Session, which: ColumnElement[bool]) -> list[Run]:
    """Queued runs that are parked for their files, of those jobs; held for a change. One that was cancelled meanwhile
    is none of them."""
    query = select(FineTuningJob.run_id).join(Run, col(Run.id) == FineTuningJob.run_id)
    ids = session.exec(query.where(col(Run.parked) == parked.FILE, which)).all()
    return [run for run in (runs.lock(session, one) for one in ids) if run is not None and _waits(run)]


def let_go(session: Session, training_id: str, validation_ids: Collection[str | None]) -> int:
    """Runs that waited for these files go on to be checked; how many."""
    of_pair = [
        col(FineTuningJob.validation_file).is_(None) if one is None else col(FineTuningJob.validation_file) == one
        for one in validation_ids
    ]
    found = waiting_runs(session, (col(FineTuningJob.training_file) == training_id) & or_(*of_pair))
    for run in found:
        run.parked = None
        session.add(run)
        holds.say(session, run)
    return len(found)


def _waits(run: Run) -> bool:
    return run.parked == parked.FILE and run.state == RunState.QUEUED


def _drop_pieces(session: Session, file_id: str) -> None:
    session.exec(delete(FilePiece).where(col(FilePiece.file_id) == file_id))
