"""explain: why a run waits, gate by gate, when it would start, and what would help; and the queue as a whole.

The board is read as `admit` reads it, and every answer is made by the same rules. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from service.domain.admission import Admit, Wait
from service.domain.board import UNSEEN_SCHEDULING, Board, Candidate
from service.domain.counterfactual import Help, outcome, what_would_help
from service.domain.forecast import earliest_starts
from service.domain.gates import Check, checks
from service.domain.moment import minute
from service.domain.run import Reason, RunState
from service.store import board, flavors, organisation, queue, scripts, teams
from service.store.tables import Run

# How many queued runs the look ahead takes in, over all lanes.
MOST_SEEN = 1000


@dataclass(frozen=True)
class Explanation:
    """`position` counts from 1 over all teams, None for a run that is held. `earliest_start` is None where it is
    further off than is looked, or depends on people."""

    position: int | None
    earliest_start: datetime | None
    gates: list[Check]
    would_help: list[Help]
    assumption: str


@dataclass(frozen=True)
class View:
    """What a look at the queue stands on: the board, and the runs that one pass (or the look ahead) takes in."""

    stand: Board
    queues: dict[str, list[Candidate]]


def look(session: Session, most_active: int, now: datetime, also: Run | None = None) -> View:
    """Read the board and the heads of the queues; with one more run where it is further back."""
    lanes = max(1, board.lanes_in_use(session))
    seen = board.heads(session, max(1, min(50, MOST_SEEN // lanes)))
    queues = {team: [one.candidate for one in found] for team, found in seen.items()}
    if also is not None and all(one.id != also.id for one in queues.get(also.team, ())):
        queues.setdefault(also.team, []).append(board.candidate(session, also))
    return View(board.read(session, most_active, now), queues)


def earliest(view: View, wanted: Collection[str], is_open: bool) -> dict[str, datetime]:
    """When these runs would start, of those that the look ahead reaches. Uses the view up."""
    return earliest_starts(view.queues, view.stand, wanted) if is_open else {}


def explain(session: Session, run: Run, most_active: int, now: datetime) -> Explanation:
    """All about a queued run; a run that is not queued has passed every gate or needs none."""
    candidate = board.candidate(session, run)
    assumption = _assumption(session, run)
    if run.state != RunState.QUEUED:
        return Explanation(None, None, [], [], assumption)
    held = _holds(session, run, now)
    closed = [check for check in held if not check.passed]
    view = look(session, most_active, now, also=run if run.is_ready else None)
    ahead = [run_id for run_id, _ in queue.in_order(session, now)] if run.is_ready else []
    gates = [*held, *checks(candidate, view.stand)]
    if closed:
        return Explanation(None, None, gates, _after_release(candidate, view, closed), assumption)
    decision = outcome(candidate, view.queues, view.stand)
    gates.append(_turn(decision))
    helps = what_would_help(candidate, view.queues, view.stand)
    position = ahead.index(run.id) + 1 if run.id in ahead else None
    return Explanation(position, earliest(view, {run.id}, True).get(run.id), gates, helps, assumption)


def _holds(session: Session, run: Run, now: datetime) -> list[Check]:
    """The gates before the board."""
    above, team = organisation.read(session), teams.get(session, run.team)
    assert team is not None
    paused_by = run.paused_by or "nobody"
    return [
        Check(
            "queue_open", above.paused_at is None, *_said(above.paused_at, f"the queue is paused by {above.paused_by}")
        ),
        Check("team_open", team.paused_at is None, *_said(team.paused_at, f"the team is paused by {team.paused_by}")),
        Check("not_paused", run.paused_at is None, *_said(run.paused_at, f"paused by {paused_by}")),
        Check(
            "approval",
            run.approval != "needed",
            Reason.AWAITING_APPROVAL if run.approval == "needed" else None,
            run.approval_why or "needs none",
        ),
        Check(
            "dependencies",
            run.open_dependencies == 0,
            Reason.WAITING_FOR_DEPENDENCY if run.open_dependencies else None,
            f"{run.open_dependencies} of the runs in `after` have not succeeded yet",
            need=run.open_dependencies,
        ),
        Check(
            "script",
            run.parked != scripts.PARKED,
            Reason.CHECKING if run.parked == scripts.PARKED else None,
            scripts.FETCHED_FIRST if run.parked == scripts.PARKED else "nothing has to be fetched",
        ),
        Check(
            "next_try",
            run.not_before is None or run.not_before <= now,
            Reason.BACKING_OFF if run.not_before is not None else None,
            "no pause between tries" if run.not_before is None else f"next try at {minute(run.not_before)}",
        ),
    ]


def _said(at: datetime | None, message: str) -> tuple[Reason | None, str]:
    return (None, "open") if at is None else (Reason.PAUSED, message)


def _turn(decision: object) -> Check:
    """Whether an earlier run must go first."""
    is_behind = isinstance(decision, Wait) and not decision.lacks_money and not decision.lacks_slots
    reason = decision.reason if isinstance(decision, Wait) and is_behind else None
    message = decision.message if isinstance(decision, Wait) and is_behind else "nobody has to go first"
    return Check("turn", not is_behind, reason, message)


def _after_release(run: Candidate, view: View, closed: list[Check]) -> list[Help]:
    """What a held run would come to, were it not held."""
    decision = outcome(run, view.queues, view.stand)
    then = "starts now" if isinstance(decision, Admit) else f"then waits: {decision.message}"
    change = " and ".join(f"{check.gate} opens" for check in closed)
    return [Help(change, then)]


def _assumption(session: Session, run: Run) -> str:
    p90 = flavors.scheduling_p90(session, run.flavor)
    wait = UNSEEN_SCHEDULING if p90 is None else p90
    seen = "nine of ten of its last jobs had it" if p90 is not None else "nothing has been seen of it yet"
    return f"{run.flavor} has hardware within {wait // timedelta(seconds=1)} s ({seen})"
