"""The audit log."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index
from sqlmodel import Field, SQLModel

from service.store.columns import UtcDateTime


class AuditEntry(SQLModel, table=True):
    """What somebody changed, entered in the transaction that changed it. The database itself refuses to change or
    remove an entry (`migrations.append_only`)."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_team", "team", "id"), {"info": {"append_only": True}})
    id: str = Field(primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    # who: a user by name, with the key, and by which way they came (`key`, `oidc`, `session`, `command line` …)
    actor: str
    role: str
    via: str
    key_id: str | None = None
    # from where
    address: str | None = None
    user_agent: str | None = None
    # what: the route, and the object's own address; whose it is, null where it is the organisation's
    action: str
    object: str
    team: str | None = None
    # what became of it, with what was before and after where that is known
    changes: list[dict[str, Any]] = Field(sa_type=JSON)
