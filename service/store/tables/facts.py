"""What the Hub said, kept for a while."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from service.store.columns import UtcDateTime


class HubFact(SQLModel, table=True):
    """The last answer about one subject, such as `model:acme/tiny@main`, to those who asked with the same tokens: the
    service's own (empty), or a team's (the version of its credentials). All their runs share it."""

    __tablename__ = "hub_fact"
    subject: str = Field(primary_key=True)
    read_as: str = Field(default="", primary_key=True)
    fact: dict[str, Any] = Field(sa_type=JSON)
    read_at: datetime = Field(sa_type=UtcDateTime)
    good_until: datetime = Field(sa_type=UtcDateTime, index=True)
