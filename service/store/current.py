"""How a run and the attempt that it is on find one another in a statement."""

from __future__ import annotations

from sqlmodel import col

from service.store.tables import Attempt, Run

IS_CURRENT = (col(Attempt.run_id) == Run.id) & (col(Attempt.attempt) == Run.attempt)
