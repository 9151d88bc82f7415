"""held: what keeps a queued run from its turn before money and slots are looked at, and what opens each gate."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.domain.gates import Check
from service.domain.moment import minute, second
from service.domain.run import Reason
from service.store import holds, organisation, parked, teams
from service.store.tables import Run


def held(session: Session, run: Run, trouble: str | None, now: datetime) -> list[Check]:
    """The gates before the board, in order. `trouble` is why its namespace takes no jobs, as admission said."""
    return [
        _looked_up(run),
        *_pauses(session, run),
        _approval(run),
        _dependencies(session, run),
        _inputs(run),
        _next_try(run, now),
        _job_token(trouble),
    ]


def _gate(name: str, reason: Reason | None, message: str, opens: str = "", **more: Any) -> Check:
    return Check(name, reason is None, reason, message, opens=opens, **more)


def _looked_up(run: Run) -> Check:
    if run.checked_at is not None:
        return _gate("preflight", None, "what it names was found")
    is_told = run.preflight is not None and run.reason == Reason.CHECKING
    message = run.message if is_told and run.message else "what it names is being looked up on Hugging Face"
    return _gate("preflight", Reason.CHECKING, message, "wait until what it names has been looked up")


def _pauses(session: Session, run: Run) -> list[Check]:
    above, team = organisation.read(session), teams.get(session, run.team)
    assert team is not None
    return [
        _pause("queue_open", "the queue", above.paused_at, above.paused_by, "an admin resumes it (POST /queue/resume)"),
        _pause(
            "team_open",
            f"team {run.team}",
            team.paused_at,
            team.paused_by,
            f"a lead resumes the team (POST /teams/{run.team}/resume)",
        ),
        _pause("not_paused", "the run", run.paused_at, run.paused_by, f"resume it (POST /runs/{run.id}/resume)"),
    ]


def _pause(name: str, what: str, at: datetime | None, by: str | None, opens: str) -> Check:
    if at is None:
        return _gate(name, None, f"{what} is not paused")
    return _gate(name, Reason.PAUSED, f"{what} is paused by {by} since {minute(at)}", opens)


def _approval(run: Run) -> Check:
    if run.approval == "needed":
        opens = f"a lead or an admin approves it (POST /runs/{run.id}/approve)"
        return _gate("approval", Reason.AWAITING_APPROVAL, run.approval_why or "it needs approval", opens)
    return _gate("approval", None, "needs no approval" if run.approval is None else f"approved by {run.approval_by}")


def _dependencies(session: Session, run: Run) -> Check:
    if not run.open_dependencies:
        return _gate("dependencies", None, "no other run has to succeed first", need=0)
    others = holds.open_dependencies(session, run.id)
    named = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    if run.pilot is not None:
        message, opens = f"its pilot {named} has not passed yet", f"wait until its pilot {named} has passed"
    else:
        verb = "has" if len(others) == 1 else "have"
        message, opens = f"{named} {verb} not succeeded yet", f"wait until {named} {verb} succeeded"
    return _gate("dependencies", Reason.WAITING_FOR_DEPENDENCY, message, opens, need=run.open_dependencies)


def _inputs(run: Run) -> Check:
    if run.parked is None or run.parked not in parked.FIRST:
        return _gate("script", None, "no script has to be fetched")
    return _gate(run.parked, Reason.CHECKING, parked.FIRST[run.parked], parked.OPENS[run.parked])


def _next_try(run: Run, now: datetime) -> Check:
    if run.not_before is None or run.not_before <= now:
        return _gate("next_try", None, "no pause between two tries")
    at = second(run.not_before)
    return _gate("next_try", Reason.BACKING_OFF, f"the next try is at {at}", f"wait until {at}")


def _job_token(trouble: str | None) -> Check:
    """Whether jobs can be given a token, as admission said of the first runs in line."""
    if trouble is None:
        return _gate("job_token", None, "the token that jobs are given can start no jobs itself")
    return _gate("job_token", Reason.BACKING_OFF, trouble, "an admin puts the token that jobs are given right")
