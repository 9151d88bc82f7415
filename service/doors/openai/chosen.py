"""The data of a job: uploaded files of the team, which may still be on their way to the Hub, or a dataset there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from service.domain.errors import Invalid, NotFound
from service.domain.file_card import VALIDATION_SPLIT
from service.doors.openai.as_run import Source, dataset_of, split_apart
from service.doors.openai.asked import JobRequest
from service.store import files
from service.store.tables import UploadedFile

FILE = "file-"
AGAIN = "Upload it with client.files.create, and send the id that it gives."


@dataclass(frozen=True)
class Chosen:
    """What is trained on, the split that is evaluated on, and whether either is still to be stored on the Hub."""

    training: Source
    evaluated_on: str | None = None
    is_under_way: bool = False


def chosen(session: Session, asked: JobRequest, team: str, now: datetime) -> Chosen:
    """What a job names. A validation file is paired with the training file from now on. Raises Invalid."""
    validation = asked.validation_file
    if not asked.training_file.startswith(FILE):
        training = dataset_of(asked.training_file, "training_file")
        if validation is None:
            return Chosen(training)
        if validation.startswith(FILE):
            raise _apart("a file goes with a file", f"Send a split of the dataset, such as '{training.repo}:test'.")
        evaluated = dataset_of(validation, "validation_file")
        return Chosen(split_apart(training, evaluated), evaluated.split)
    file = _uploaded(session, asked.training_file, team, "training_file")
    if validation is None:
        return Chosen(Source(file.repo), is_under_way=file.revision is None)
    if not validation.startswith(FILE):
        raise _apart("a dataset goes with a dataset", AGAIN)
    other = _uploaded(session, validation, team, "validation_file")
    if other.id == file.id:
        raise _apart("it is the file that is trained on", "Keep apart what is trained and what is evaluated on.")
    if other.form != file.form:
        raise _apart(f"a {other.form} file beside a {file.form} file", "Give both files the same form.")
    pair = files.ask_for_pair(session, file, other, now)
    source = Source(file.repo, config=other.id)
    return Chosen(source, VALIDATION_SPLIT, is_under_way=file.revision is None or pair.revision is None)


def _uploaded(session: Session, file_id: str, team: str, field: str) -> UploadedFile:
    """Held, so that nobody deletes it meanwhile."""
    try:
        file = files.find(session, team, file_id, hold=True)
    except NotFound:
        raise Invalid(f"the team has no file '{file_id[:100]}'", field=field, remedy=AGAIN) from None
    if file.state == "error":
        raise Invalid(f"{file_id} is no use: {file.problem}", field=field, remedy=AGAIN)
    return file


def _apart(rule: str, remedy: str) -> Invalid:
    return Invalid(rule, field="validation_file", remedy=remedy)
