"""repair: whether a run whose job has failed is tried again, and with which change.

Decided in the transaction that ends the attempt, after its charge: what is left of the run's cap is known then. What
is not done by the run's own policy is offered with its price.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.domain import diagnosis
from service.domain.backoff import retry_backoff
from service.domain.diagnosis import Failure
from service.domain.moment import second
from service.domain.money import MIN_CAPPED_TIMEOUT_SECONDS
from service.domain.recipe import ADOPTED, read
from service.domain.repair import Again, Setting
from service.domain.repair.resume import Rest
from service.domain.run import Reason, RunState
from service.domain.trl.flags import described
from service.domain.trl_sft import TrlSft
from service.flow import rescue
from service.flow.climb import Try, next_rung
from service.flow.means import Means, expected, means_of
from service.flow.preflight import fingerprint_of
from service.flow.saving import rest_of_run
from service.store import flavors, holds, runs
from service.store.tables import Attempt, Run

MAY_GO_ON = (
    "its job is gone from Hugging Face's lists and may go on unseen: a second one beside it is a person's decision"
)


@dataclass(frozen=True)
class Decision:
    """`offer`: a sensible next try, None where there is none. `why_not`: why the run's policy does not make it; None
    where it does, or where the run has no policy to make any. `rescue`: what another run could publish in its stead."""

    offer: Try | None
    is_made: bool = False
    why_not: str | None = None
    rescue: Again | None = None

    def told(self, failure: Failure) -> dict[str, Any]:
        """The `failure` of the run, with what is offered."""
        offer = None if self.offer is None else self.offer.again.as_json()
        rescue = None if self.rescue is None else self.rescue.as_json()
        return {**failure.as_json(), "repair": offer, "not_repaired": self.why_not, "rescue": rescue}


def decide(session: Session, run: Run, attempt: Attempt, failure: Failure, now: datetime) -> Decision:
    """What follows from a job's failure. `attempt` is charged. A child run is tried once: its parent knows why. What an
    adopted job ran is not known, so there is nothing to try again."""
    if run.kind is not None or run.cancel_requested_at is not None or run.recipe == ADOPTED:
        return Decision(None)
    if (found := rescue.offer(session, run, failure.cause, now)) is not None:
        return Decision(None, rescue=found)  # it is trained: publishing it is all that is left
    means = means_of(session, run, attempt, now)
    offer = _offer(means, failure)
    if offer is None or run.retry is None:
        return Decision(offer)
    if failure.cause is Reason.JOB_VANISHED:
        return Decision(offer, why_not=MAY_GO_ON)
    most = int(run.retry["max_attempts"])
    if run.attempt >= most:
        why_not = f"it was tried {run.attempt} times, and retry.max_attempts is {most}"
        return Decision(offer, why_not=why_not)
    refusal = replace(means, timeout_seconds=offer.timeout_seconds).refusal(offer.flavor)
    return Decision(offer, is_made=refusal is None, why_not=refusal)


def go_on(session: Session, run: Run, attempt: Attempt, failure: Failure, offer: Try, now: datetime) -> bool:
    """starting or running -> queued: the next try, with its change."""
    again = offer.again
    attempt.change = again.change if attempt.change is None else f"{attempt.change}; {again.change}"
    attempt.repair = again.as_json()
    session.add(attempt)
    is_elsewhere = offer.flavor != run.flavor
    run.recipe, run.flavor, run.estimate = offer.recipe, offer.flavor, offer.estimate
    run.requested_timeout_seconds = offer.timeout_seconds
    run.progress = None
    if again.settings:
        run.fingerprint = fingerprint_of(session, run)
    if is_elsewhere:
        run.ceiling_micro_usd, run.quoted_price_micro_usd = again.ceiling, flavors.fresh_price(session, run.flavor, now)
        holds.hold_for_approval(session, run, now)
        runs.line_up(session, run)
    session.add(run)
    is_same = failure.retry is diagnosis.Retry.SAME
    not_before = now + retry_backoff(attempt.attempt) if is_same else None
    when = "" if not_before is None else f" at {second(not_before)}"
    told = f"attempt {attempt.attempt} failed ({failure.cause.value}); it is tried again{when}: {again.change}"
    moved = runs.advance(
        session,
        run,
        RunState.QUEUED,
        now=now,
        event="run.retrying",
        reason=Reason.CHECKING if not_before is None else Reason.BACKING_OFF,
        message=told[:500],
        not_before=not_before,
        tries=0,
    )
    if moved and run.approval == "needed":
        holds.say(session, run)
        runs.tell(session, run, "run.awaiting_approval", now)
    return moved


def _offer(means: Means, failure: Failure) -> Try | None:
    run, recipe = means.run, read(means.run.recipe)
    rest = rest_of_run(run, means.attempt)
    if failure.retry is diagnosis.Retry.SAME:
        return _go_on(means, rest) if rest is not None else _again(means)
    if failure.cause is Reason.JOB_TIMEOUT and rest is not None:
        return _go_on(means, rest, is_timeout=True)
    if failure.cause is Reason.CUDA_OOM and isinstance(recipe, TrlSft) and recipe.trl_version in described():
        return next_rung(means, recipe)
    return None


def _again(means: Means, note: str = "", settings: tuple[Setting, ...] = ()) -> Try:
    run = means.run
    again = Again(settings, note, means.ceiling(run.flavor), expected(run.estimate))
    return Try(again, run.flavor, run.recipe, run.estimate, means.timeout_seconds)


def _go_on(means: Means, rest: Rest, is_timeout: bool = False) -> Try:
    """From the newest checkpoint; after a timeout with as much time as the rest takes."""
    flavor, before, after = means.run.flavor, means.timeout_seconds, rest.timeout_seconds
    if not is_timeout and before is not None and means.refusal(flavor) is not None:
        # what is left of the cap is enough, where it holds the rest
        most = means.longest(flavor)
        after = most if most >= max(MIN_CAPPED_TIMEOUT_SECONDS, after or 0) else before
    elif not is_timeout:
        after = before
    if before is None or after is None or before == after:
        return _again(means, rest.note)
    return _again(replace(means, timeout_seconds=after), rest.note, (Setting("timeout", before, after),))
