"""card: a lineage card into the README of a model whose caller asked for one.

After the run has ended: whatever goes wrong here changes nothing of its outcome, and is tried again a few times.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlmodel import Session

from service.domain.card import TITLE, lineage, with_lineage
from service.flow.each import each
from service.flow.gate import Gate
from service.hub.faults import HubFault
from service.store import cards
from service.store.describe import describe_run
from service.store.tables import Run

log = structlog.get_logger()
BATCH = 20
TRIES = 5
AGAIN = timedelta(minutes=1)


def run_once(gate: Gate) -> int:
    """Write the cards that are due; how many were."""
    with gate.db.read() as session:
        due = cards.due(session, gate.clock(), BATCH)
    return sum(bool(each("card", run.id, partial(write_one, gate, run))) for run in due)


def write_one(gate: Gate, run: Run) -> bool:
    """One card: the README as it stands, with the section for this run. Where a run was answered with an earlier one's
    model, that one's README says how that one made it, and that this run was answered with it."""
    with gate.db.read() as session:
        made = run if run.reused_from is None else session.get_one(Run, run.reused_from)
        shown = describe_run(session, made, gate.clock())
    repo = made.output_repo
    assert repo is not None
    section = lineage(shown, None if made is run else run.id)
    problem = None
    try:
        hub = gate.hub_of(made.credentials)
        state = hub.repo_state(repo)
        if state is None:
            problem = "the repository is gone"
        else:
            before = hub.readme.read(repo, state.sha)
            if (after := with_lineage(before, section)) != before:
                hub.readme.write(repo, after, state.sha, f"{TITLE}{run.id}")
    except HubFault as error:
        problem = error.message
    if problem is not None:
        log.warning("card_not_written", run_id=run.id, problem=problem)
    gate.write(partial(_note, run_id=run.id, problem=problem, now=gate.clock()))
    return problem is None


def _note(session: Session, run_id: str, problem: str | None, now: datetime) -> None:
    run = session.get(Run, run_id, with_for_update=True)
    assert run is not None
    run.card_tries += 1
    is_over = problem is None or run.card_tries >= TRIES
    run.card = "written" if problem is None else f"not written: {problem}" if is_over else "wanted"
    run.card_due_at = None if is_over else now + AGAIN * run.card_tries
    session.add(run)
