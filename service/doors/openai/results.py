"""A job's numbers as a file: the table that OpenAI gives as `result_files`, made whenever it is read."""

from __future__ import annotations

import csv
import io
from datetime import datetime

from sqlmodel import Session

from service.domain.errors import NotFound
from service.domain.run import RunState
from service.doors.openai.ids import results_id
from service.store import fine_tuning, metrics
from service.store.tables import FineTuningJob, Run

COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
# By kind of point, as TRL names them.
NAMES = {
    "train": {"loss": "train_loss", "mean_token_accuracy": "train_accuracy"},
    "eval": {"eval_loss": "valid_loss", "eval_mean_token_accuracy": "valid_mean_token_accuracy"},
}
# id, team, content, since when
Results = tuple[str, str, bytes, datetime | None]


def of(session: Session, team: str | None, run_id: str) -> Results:
    """The file of one job that has succeeded. Raises NotFound."""
    job, run = fine_tuning.get(session, run_id), session.get(Run, run_id)
    if job is None or run is None or team not in (None, job.team) or run.state != RunState.SUCCEEDED:
        raise NotFound(
            f"there is no file '{results_id(run_id)}'", field="file_id", remedy="A job's `result_files` name it."
        )
    return _results(session, job, run)


def page(session: Session, team: str | None, after: str | None, limit: int, *, newest_first: bool) -> list[Results]:
    """Those of all jobs that have succeeded."""
    found = fine_tuning.succeeded(session, team, after, limit, newest_first=newest_first)
    return [_results(session, *one) for one in found]


def _results(session: Session, job: FineTuningJob, run: Run) -> Results:
    return results_id(run.id), job.team, table(session, run), run.finished_at


def table(session: Session, run: Run) -> bytes:
    """CSV of the last attempt's numbers, a row for each step."""
    steps: dict[int, dict[str, float]] = {}
    for point in metrics.read(session, run.id, run.attempt, fine_tuning.NUMBERS, metrics.MOST_POINTS):
        if point.step is not None:
            row = steps.setdefault(point.step, {})
            row |= {ours: point.numbers[name] for name, ours in NAMES[point.kind].items() if name in point.numbers}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({"step": step, **steps[step]} for step in sorted(steps))
    return text.getvalue().encode()
