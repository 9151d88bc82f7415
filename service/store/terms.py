"""What runs are looked for by: their labels, and the repository that they publish to, whole and by its name alone.

Kept as rows of their own: whoever looks for what only a few runs have would else have every run read.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlmodel import Session, col, delete

from service.store import rows
from service.store.tables import Run, SearchTerm


def of_label(name: str, value: str) -> str:
    """The term of one label."""
    return f"label:{name}={value}"


def of_repo(repo: str) -> str:
    """The term of a repository, by owner/name or by its name alone."""
    return f"repo:{repo}"


def put(session: Session, run: Run) -> None:
    """A new run can be found from now on."""
    repo = run.output_repo
    _add(
        session, run.id, _of_labels(run.labels) | ({of_repo(repo), of_repo(repo.rpartition("/")[2])} if repo else set())
    )


def change_labels(session: Session, run_id: str, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """A run's labels are others now."""
    old, new = _of_labels(before), _of_labels(after)
    if old - new:
        session.exec(delete(SearchTerm).where(col(SearchTerm.run_id) == run_id, col(SearchTerm.term).in_(old - new)))
    _add(session, run_id, new - old)


def _of_labels(labels: Mapping[str, str]) -> set[str]:
    return {of_label(name, value) for name, value in labels.items()}


def _add(session: Session, run_id: str, terms: set[str]) -> None:
    rows.insert(session, [rows.new(SearchTerm, term=term, run_id=run_id) for term in sorted(terms)])
