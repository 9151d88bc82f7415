"""Lists of runs, narrowed, a page at a time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from service.store import terms
from service.store.tables import Run, SearchTerm


@dataclass(frozen=True)
class RunFilter:
    """What a page of runs is narrowed to; None and empty narrow nothing. `output_repo` may be its name alone."""

    team: str | None = None
    states: Collection[str] = ()
    labels: tuple[tuple[str, str], ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    output_repo: str | None = None
    namespace: str | None = None
    origin: str | None = None


def page(session: Session, narrowed: RunFilter, after: str | None, limit: int) -> list[Run]:
    """Runs newest first, those older than the run `after`."""
    if len(narrowed.states) > 1:  # each state's newest come from its index; those of several would have to be sorted
        each = (page(session, replace(narrowed, states=[state]), after, limit) for state in set(narrowed.states))
        return sorted(chain.from_iterable(each), key=lambda run: run.id, reverse=True)[:limit]
    wanted = [terms.of_label(*label) for label in narrowed.labels]
    wanted += [] if narrowed.output_repo is None else [terms.of_repo(narrowed.output_repo)]
    query, run_id = select(Run), col(Run.id)
    for term in wanted:
        found = aliased(SearchTerm)
        query = query.join(found, (col(found.run_id) == Run.id) & (col(found.term) == term))
        run_id = col(found.run_id)  # in the order of its index
    query = query.order_by(run_id.desc()).limit(limit)
    for column, value in (
        (Run.team, narrowed.team),
        (Run.namespace, narrowed.namespace),
        (Run.origin, narrowed.origin),
    ):
        if value is not None:
            query = query.where(column == value)
    if narrowed.states:
        query = query.where(Run.state == next(iter(narrowed.states)))
    if narrowed.created_after is not None:
        query = query.where(Run.created_at > narrowed.created_after)
    if narrowed.created_before is not None:
        query = query.where(Run.created_at < narrowed.created_before)
    if after is not None:
        query = query.where(run_id < after)
    return list(session.exec(query))
