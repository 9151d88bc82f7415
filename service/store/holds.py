"""What holds a queued run outside the board: a pause, an approval, other runs that it comes after."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, false, true
from sqlmodel import Session, col, exists, select

from service.domain.approval import ApprovalRules, why_held
from service.domain.follow_up import FOLLOW_UPS
from service.domain.moment import minute
from service.domain.run import Reason, RunState, how_it_ended
from service.store import cancels, organisation, runs, teams
from service.store.current import IS_CURRENT
from service.store.tables import Attempt, Dependency, Run, Team

BATCH = 500


def reason_of(run: Run) -> tuple[Reason, str] | None:
    """Why a queued run is held, the first that counts; None where only the board decides."""
    if run.paused_at is not None:
        return Reason.PAUSED, f"paused by {run.paused_by}: it starts in its turn once it is resumed"
    if run.approval == "needed" and run.approval_expires_at is not None:
        return (
            Reason.AWAITING_APPROVAL,
            f"{run.approval_why}: a lead or an admin approves or refuses it before {minute(run.approval_expires_at)}",
        )
    if run.open_dependencies and run.pilot is not None:
        return Reason.WAITING_FOR_DEPENDENCY, f"starts once its pilot {run.pilot['run_id']} has passed"
    if run.open_dependencies and run.kind in FOLLOW_UPS:
        return Reason.WAITING_FOR_DEPENDENCY, "starts once the model that it goes on from is there (see `after`)"
    if run.open_dependencies:
        others = "1 other run has" if run.open_dependencies == 1 else f"{run.open_dependencies} other runs have"
        return Reason.WAITING_FOR_DEPENDENCY, f"starts once {others} succeeded (of those in `after`)"
    return None


def say(session: Session, run: Run) -> None:
    """Write why a run waits after something that holds it came or went. Of what only the board knows, `admit` tells."""
    session.flush()
    session.refresh(run)
    reason, message = reason_of(run) or (Reason.CHECKING, "the gates are checked next")
    runs.explain(session, run, reason, message)


def hold_for_approval(session: Session, run: Run, now: datetime) -> None:
    """Ask for approval where the team's rules want it."""
    rules = rules_of(teams.get(session, run.team))
    is_first = rules.first_run_of_user and not _was_let_through(session, run)
    run.approval_why = why_held(rules, run.ceiling_micro_usd, run.flavor, is_first)
    if run.approval_why is None and (run.pilot or {}).get("confirm") and not run.open_dependencies:
        run.approval_why = "it was changed after its pilot, whose numbers were to be confirmed"
    run.approval = None if run.approval_why is None else "needed"
    run.approval_expires_at = None if run.approval_why is None else now + rules.expires_after
    run.approval_by = run.approval_comment = None


def _was_let_through(session: Session, run: Run) -> bool:
    """Whether another run of the same user was approved, or admitted. That one was submitted says nothing yet."""
    others = exists().where(
        col(Run.team) == run.team,
        col(Run.requested_by) == run.requested_by,
        col(Run.id) != run.id,
        (col(Run.approval) == "granted") | col(Run.admitted_at).is_not(None),
    )
    return bool(session.exec(select(others)).one())


def ask_for_approval(session: Session, run: Run, why: str, now: datetime) -> None:
    """Hold a queued run until a lead or an admin has looked at it, and tell of it."""
    run.approval, run.approval_why = "needed", why
    run.approval_expires_at = now + rules_of(session.get(Team, run.team)).expires_after
    run.approval_by = run.approval_comment = None
    session.add(run)
    runs.tell(session, run, "run.awaiting_approval", now)


def rules_of(team: Team | None) -> ApprovalRules:
    """A team's rules; none where it has set none."""
    if team is None or team.approval_rules is None:
        return ApprovalRules()
    kept = team.approval_rules
    return ApprovalRules(
        kept["cost_over_micro_usd"],
        frozenset(kept["flavors"]),
        kept["first_run_of_user"],
        timedelta(seconds=kept["expires_after_seconds"]),
    )


def come_after(session: Session, run: Run, others: Iterable[str]) -> None:
    """Let a run that was just inserted start only after these have succeeded; those that have count no more."""
    for other in others:
        session.add(Dependency(run_id=run.id, after_run_id=other))
    session.flush()


def open_dependencies(session: Session, run_id: str) -> list[str]:
    """The runs that one waits for still."""
    waiting = select(Dependency.after_run_id).where(Dependency.run_id == run_id, ~col(Dependency.is_settled))
    return list(session.exec(waiting.order_by(col(Dependency.after_run_id))))


def ended_dependencies(session: Session) -> list[Dependency]:
    """Ends of runs that others waited for and that nobody has drawn the conclusion from."""
    return list(
        session.exec(
            select(Dependency)
            .where(col(Dependency.ended_as).is_not(None), ~col(Dependency.is_settled))
            .order_by(col(Dependency.run_id), col(Dependency.after_run_id))
            .limit(BATCH)
        )
    )


def settle(session: Session, run_id: str, after_run_id: str) -> tuple[Run, Run] | None:
    """Note that one end is being concluded from: the run that waited, held, and the one that has ended. None where that
    was done before, or where the run waits no more."""
    run = runs.lock(session, run_id)
    dependency = session.get(Dependency, (run_id, after_run_id))
    if run is None or dependency is None or dependency.is_settled:
        return None
    dependency.is_settled = True
    session.add(dependency)
    other = runs.get(session, after_run_id)
    return None if run.state != RunState.QUEUED or other is None else (run, other)


def come_nearer(session: Session, run: Run) -> None:
    """One of those that it was to start after has succeeded."""
    run.open_dependencies -= 1
    session.add(run)
    say(session, run)


def give_up(session: Session, run: Run, other: Run, now: datetime) -> None:
    """One of those that it was to start after never will: it is stopped, and says which and why."""
    message = f"{_which(run, other)} {how_it_ended(other.state)}"
    if other.failure is not None or other.parent == run.id:
        message = f"{message}: {other.message}"
    cancels.request(session, col(Run.id) == run.id, "a rule", now, Reason.DEPENDENCY_FAILED, message[:500])


def _which(run: Run, other: Run) -> str:
    return f"its pilot {other.id}" if other.parent == run.id else f"{other.id}, which it was to start after,"


def expire(session: Session, now: datetime, without: Collection[str]) -> int:
    """Stop what was not approved in time, and what has no job by its `start_before`; how many. Not in the namespaces
    `without`, where a restored backup may have forgotten that it was approved, or that it runs."""
    is_known = col(Run.namespace).not_in(without)
    expired = cancels.request(
        session,
        _is_unapproved(now) & is_known,
        "a rule",
        now,
        Reason.APPROVAL_EXPIRED,
        "nobody approved it in time",
    )
    is_uncalled = exists().where(IS_CURRENT, col(Attempt.called_at).is_(None))
    # by state in CASE: an index on it would be taken for better than that on start_before, and read the whole queue
    has_no_job = case(
        {RunState.QUEUED.value: true(), RunState.SUBMITTING.value: is_uncalled}, value=col(Run.state), else_=false()
    )
    return expired + stop_late(session, has_no_job & is_known, now)


def are_any_overdue(session: Session, now: datetime) -> bool:
    """Whether `expire` may find something: most passes find nothing, and need not take the writer for that."""
    is_going = col(Run.cancel_requested_at).is_(None) & col(Run.finished_at).is_(None)
    unapproved = exists().where(_is_unapproved(now), is_going)
    late = exists().where(_is_late(now), is_going)
    return bool(session.exec(select(unapproved | late)).one())


def _is_unapproved(now: datetime) -> ColumnElement[bool]:
    return (col(Run.approval) == "needed") & (col(Run.approval_expires_at) <= now)


def _is_late(now: datetime) -> ColumnElement[bool]:
    return (col(Run.start_before) <= now) & col(Run.started_at).is_(None)


def stop_team(session: Session, team: str, by: str, now: datetime) -> int:
    """Stop every run of a team that has not ended; how many. The organisation's row is held first, as admission does,
    which takes many runs too."""
    organisation.lock(session)
    message = f"all runs of team {team} were stopped by {by}"
    return cancels.request(session, col(Run.team) == team, by, now, Reason.TEAM_STOPPED, message)


def stop_late(session: Session, which: ColumnElement[bool], now: datetime) -> int:
    """Stop those whose `start_before` has passed and that have never started, of runs that the caller knows to have no
    job now; how many. One that is tried again was in time."""
    return cancels.request(
        session,
        _is_late(now) & which,
        "a rule",
        now,
        Reason.START_BEFORE_PASSED,
        "it had not started by its start_before",
    )
