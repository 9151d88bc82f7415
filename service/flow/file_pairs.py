"""Validation files beside training files: TRL evaluates on a split of what it trains on, so a copy is committed to the
training file's repository, in a configuration of its own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlmodel import Session

from service.domain.file_card import README, TRAIN, card, copy_of
from service.flow.gate import Gate
from service.store import files
from service.store.tables import FilePair, UploadedFile


def pair_up(gate: Gate, training: UploadedFile) -> bool:
    """Copy what the training file is to be evaluated on and has not got yet, as far as that is stored. True: the file
    moved on. Raises HubFault."""
    with gate.db.read() as session:
        pairs = files.pairs_of(session, training.id)
    wanted = [file for pair, file in pairs if pair.revision is None and file.state == "processed"]
    ready = {file.id for pair, file in pairs if pair.revision is not None}
    for file in wanted:
        ready.add(file.id)
        revision = _copy(gate, training, file, sorted(ready))
        gate.write(partial(_paired, training_id=training.id, validation_id=file.id, revision=revision))
    gate.write(partial(_rest, training_id=training.id))
    return True


def take_back(gate: Gate, validation: UploadedFile) -> None:
    """Take the copies of a file that is deleted out of the repositories that have one. Raises HubFault."""
    with gate.db.read() as session:
        trainings = files.copied_to(session, validation.id)
    for training in trainings:
        with gate.db.read() as session:
            others = [one for pair, one in files.pairs_of(session, training.id) if pair.revision is not None]
        left = sorted(one.id for one in others if one.id != validation.id)
        datasets = gate.hub_of(training.credentials).datasets
        head = datasets.head(training.repo)
        if (name := copy_of(validation.id)) in head.files:
            put: dict[str, Path | bytes] = {README: card(training.id, training.team, left)}
            datasets.put(training.repo, put, head.sha, f"without {validation.id}", [name])


def _copy(gate: Gate, training: UploadedFile, validation: UploadedFile, ids: list[str]) -> str:
    datasets, name = gate.hub_of(training.credentials).datasets, copy_of(validation.id)
    head = datasets.head(training.repo)
    if head.files.get(name) == validation.byte_count:
        return head.sha
    assert validation.revision is not None, "it is stored"
    source = gate.hub_of(validation.credentials).datasets
    with TemporaryDirectory(prefix="tunegate-") as folder:
        path = Path(folder) / name
        with path.open("wb") as file:
            for part in source.read(validation.repo, validation.revision, TRAIN, validation.byte_count):
                file.write(part)
        put: dict[str, Path | bytes] = {name: path, README: card(training.id, training.team, ids)}
        return datasets.put(training.repo, put, head.sha, f"with {validation.id} to evaluate on")


def _paired(session: Session, training_id: str, validation_id: str, revision: str) -> None:
    pair = session.get(FilePair, (training_id, validation_id), populate_existing=True)
    if pair is None:  # one of them was deleted meanwhile
        return
    pair.revision = revision
    session.add(pair)
    files.let_go(session, training_id, [validation_id])


def _rest(session: Session, training_id: str) -> None:
    """Nothing is due any more, unless another pair was asked for meanwhile: it is woken by its validation file."""
    training = files.lock(session, training_id)
    left = [pair for pair, file in files.pairs_of(session, training_id) if pair.revision is None]
    if training.deleted_at is None and not any(_is_ready(session, pair) for pair in left):
        training.due_at, training.tries, training.problem = None, 0, None
        session.add(training)


def _is_ready(session: Session, pair: FilePair) -> bool:
    return session.get_one(UploadedFile, pair.validation_id).state == "processed"
