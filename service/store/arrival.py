"""A run as it arrives: what is told of it while nothing belongs to it yet, so that nothing has to be looked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.store import waiting
from service.store.describe import follow_ups, pilot, run_object, said
from service.store.run_money import NO_MONEY
from service.store.tables import Run


def describe_arrival(session: Session, run: Run, now: datetime) -> dict[str, Any]:
    """What `describe_run` says of a run that was inserted just now."""
    return {
        **run_object(run, (), NO_MONEY, now, ()),
        **said(waiting.reasons(session, [run]).get(run.id)),
        "pilot": pilot(run, {}, {}, {}, now),
        "follow_ups": follow_ups(run, {}, {}, {}, now),
        "webhooks": [],
    }
