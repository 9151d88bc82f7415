"""Uploaded training files, and the runs that were asked for as fine-tuning jobs."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, LargeBinary
from sqlmodel import Field, SQLModel

from service.store.columns import UtcDateTime, index_where


class UploadedFile(SQLModel, table=True):
    """A file of examples: arriving piece by piece, then uploaded, then stored in a dataset repository of its own. The
    API writes what came and `deleted_at`; the step `files` writes the rest."""

    __tablename__ = "uploaded_file"
    __table_args__ = (
        CheckConstraint("state IN ('arriving', 'uploaded', 'processed', 'error')", "state_known"),
        Index("ix_uploaded_file_team_id", "team", "id"),
        index_where("expires_at IS NOT NULL AND deleted_at IS NULL", "ix_uploaded_file_expires_at", "expires_at"),
        index_where("due_at IS NOT NULL", "ix_uploaded_file_due_at", "due_at"),
    )
    id: str = Field(primary_key=True)
    team: str = Field(foreign_key="team.name")
    filename: str
    purpose: str
    # what its lines are (`domain.chat_file`), and how many
    form: str
    examples: int
    byte_count: int = Field(sa_type=BigInteger)
    sha256: str
    state: str = "arriving"
    # why it is an error, or what went wrong with the last try
    problem: str | None = None
    # where it is stored, with whose tokens (None: the service's own), and at which commit once it is
    repo: str
    credentials: str | None = None
    revision: str | None = None
    # when the step `files` has something to do for it next, and how often that failed
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    tries: int = 0
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # since when nobody sees it, and since when its repository is gone
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    gone_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class FilePiece(SQLModel, table=True):
    """A part of a file that is not stored on the Hub yet: at most a MiB, packed with zlib. Pieces count from 0."""

    __tablename__ = "file_piece"
    file_id: str = Field(primary_key=True, foreign_key="uploaded_file.id")
    number: int = Field(primary_key=True)
    content: bytes = Field(sa_type=LargeBinary)


class FilePair(SQLModel, table=True):
    """A validation file that goes with a training file: a copy in that one's repository, in a configuration of its own,
    since TRL evaluates on a split of what it trains on. `revision`: the commit that brought it."""

    __tablename__ = "file_pair"
    training_id: str = Field(primary_key=True, foreign_key="uploaded_file.id")
    validation_id: str = Field(primary_key=True, foreign_key="uploaded_file.id", index=True)
    revision: str | None = None


class FineTuningJob(SQLModel, table=True):
    """What a run was asked for as a fine-tuning job, in the words of its caller."""

    __tablename__ = "fine_tuning_job"
    __table_args__ = (
        Index("ix_fine_tuning_job_team_run_id", "team", "run_id"),
        Index("ix_fine_tuning_job_training_file", "training_file"),
        Index("ix_fine_tuning_job_validation_file", "validation_file"),
    )
    run_id: str = Field(primary_key=True, foreign_key="run.id")
    team: str = Field(foreign_key="team.name")
    training_file: str
    validation_file: str | None = None
    has_metadata: bool = False
    asked: dict[str, Any] = Field(sa_type=JSON)
