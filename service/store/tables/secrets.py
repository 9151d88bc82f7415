"""What teams bring of their own, sealed: tokens of Hugging Face, and secrets for their runs."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, LargeBinary
from sqlmodel import Field, SQLModel

from service.store.columns import UtcDateTime


class TeamCredential(SQLModel, table=True):
    """A team's own tokens of Hugging Face, and where they start jobs; the first namespace is the team's default.
    `version` is another one for other tokens."""

    __tablename__ = "team_credential"
    team: str = Field(primary_key=True, foreign_key="team.name")
    sealed_tokens: bytes = Field(sa_type=LargeBinary)
    namespaces: list[str] = Field(sa_type=JSON)
    allow_broad_job_token: bool = False
    version: str
    # what Hugging Face said of them when they were last checked: accounts, warnings, problems
    found: dict[str, Any] = Field(sa_type=JSON)
    checked_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    updated_by: str


class TeamSecret(SQLModel, table=True):
    """A secret that a team's runs refer to by its name."""

    __tablename__ = "team_secret"
    team: str = Field(primary_key=True, foreign_key="team.name")
    name: str = Field(primary_key=True)
    sealed_value: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str
    updated_at: datetime = Field(sa_type=UtcDateTime)
    updated_by: str
