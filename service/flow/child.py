"""child: a run that belongs to another one, of its team and for the same money."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.domain.errors import Conflict
from service.domain.run import Reason, RunState
from service.store import credentials
from service.store.ids import new_id
from service.store.tables import Run


def refuse_gone(session: Session, parent: Run) -> None:
    """Raise Conflict where the tokens are gone that a child of this run would be made with."""
    if parent.credentials is not None and credentials.held(session, parent.credentials) is None:
        raise Conflict(
            f"it used tokens of team {parent.credentials}'s own, which were taken away",
            remedy=f"PUT /teams/{parent.credentials}/hf-credentials brings some again; or submit a new run.",
        )


def child_of(parent: Run, kind: str, timeout_seconds: int, now: datetime, **own: Any) -> Run:
    """A queued child run, not stored: what every child takes from its parent, and fields of its `own`."""
    inherited: dict[str, Any] = {
        "requested_by": parent.requested_by,
        "message": "just arrived; the gates are checked next",
        "env": {},
        "secret_names": [],
    }
    return Run(
        id=new_id("run", now),
        parent=parent.id,
        kind=kind,
        origin=parent.origin,
        team=parent.team,
        state=RunState.QUEUED.value,
        reason=Reason.CHECKING.value,
        requested_timeout_seconds=timeout_seconds,
        timeout_seconds=timeout_seconds,
        namespace=parent.namespace,
        credentials=parent.credentials,
        resource_group=parent.resource_group,
        priority=parent.priority,
        labels=parent.labels,
        created_at=now,
        **{**inherited, **own},
    )
