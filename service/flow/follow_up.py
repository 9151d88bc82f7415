"""follow up: child runs that go on from a run's model once it has succeeded, within its cap.

Each waits for the run, or for the last merge that was asked for before it, whose model it then looks at. What it is to
do is known from the start; the commit that it does it with is put in when what it waits for has succeeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlmodel import Session

from service.domain.errors import Invalid
from service.domain.flavor_name import AUTO
from service.domain.follow_up import (
    TIMEOUT_SECONDS,
    AnyFollowUp,
    FollowUp,
    MergeLora,
    Model,
    check_order,
    has_model,
    merged_repo,
    model_in,
    script_of,
)
from service.domain.output import Due, due
from service.domain.recipe import read
from service.domain.run import RunState
from service.flow.cap import refuse_more, spoken_for
from service.flow.ceiling import refuse_impossible
from service.flow.child import child_of, refuse_gone
from service.store import flavors, holds, runs
from service.store.tables import Run

ENDED_BADLY = (RunState.FAILED, RunState.CANCELLED)
READ: TypeAdapter[AnyFollowUp] = TypeAdapter(FollowUp)


@dataclass(frozen=True)
class Planned:
    """A follow-up that is not stored yet, and the run that it waits for; None where that has its model."""

    run: Run
    after: str | None


def then(session: Session, run: Run, asked: Sequence[AnyFollowUp], by: str, now: datetime) -> list[Planned]:
    """What follows a run, not stored; the run is told of it, and what it can cost is held back of its cap. Raises
    Invalid for what can never run."""
    if not asked:
        return []
    seen = model_in(run.output, run.pins or {}) if run.output is not None and has_model(run.output) else None
    check_order(read(run.recipe), run.output_repo, asked, None if seen is None else seen.is_adapter)
    source = _last_merge(session, run) or run
    planned = []
    for at, one in enumerate(asked):
        child = _child(run, source, one, by, now)
        with _within(f"then.{at}"):
            if child.flavor != AUTO:
                flavors.refuse_unknown(session, child.flavor, "flavor")
            refuse_impossible(session, child, now)
        planned.append(Planned(child, None if has_model(source.output) else source.id))
        if isinstance(one, MergeLora):
            source = child
    _share(run, [one.run for one in planned])
    new = [{"run_id": one.run.id, **_kept(what)} for one, what in zip(planned, asked, strict=True)]
    run.then = [*(run.then or ()), *new]
    return planned


def then_of_stored(session: Session, run: Run, asked: Sequence[AnyFollowUp], by: str, now: datetime) -> None:
    """`then` of a run that is stored and held, whatever it has come to; also stores what follows it. Raises Invalid,
    too, where its cap does not hold that with what is spent and may be."""
    refuse_gone(session, run)
    spoken = spoken_for(session, run)
    planned = then(session, run, asked, by, now)
    refuse_more(run, spoken, sum(one.run.ceiling_micro_usd or 0 for one in planned))
    if run.state == RunState.QUEUED:
        # where its timeout follows from its cap, it is shorter now
        refuse_impossible(session, run, now, is_queued=True)
    session.add(run)
    queue_after(session, planned, now)


def queue_after(session: Session, planned: Sequence[Planned], now: datetime) -> None:
    """Store what follows a run that is stored."""
    for one in planned:
        run = one.run
        run.open_dependencies = 0 if one.after is None else 1
        if one.after is None:
            holds.hold_for_approval(session, run, now)
        if (held := holds.reason_of(run)) is not None:
            run.reason, run.message = held
        runs.insert(session, run, now)
        holds.come_after(session, run, [] if one.after is None else [one.after])


def aim(session: Session, run: Run, source: Run, now: datetime) -> None:
    """What a follow-up waited for has succeeded: it takes up the model that this published. The team's rules of
    approval are asked now, as it is known what it will do."""
    parent = source if run.parent == source.id else runs.get(session, str(run.parent))
    assert parent is not None, "a child has its parent"
    run.recipe = _recipe(parent, source, _asked(parent, run))
    if run.max_cost_micro_usd is None and parent.max_cost_micro_usd is not None:
        # its price was not known when it was asked for
        run.max_cost_micro_usd = max(0, parent.max_cost_micro_usd - spoken_for(session, parent, run.id))
    run.checked_at = None  # another commit is another input
    holds.hold_for_approval(session, run, now)
    session.add(run)
    if run.approval == "needed":
        runs.tell(session, run, "run.awaiting_approval", now)


def go_along(session: Session, run: Run, now: datetime) -> None:
    """What follows a run goes with its flavor, where none was named for it. Raises Invalid where a budget could never
    hold it there."""
    followers = _open(session, run)
    for child in followers:
        if _asked(run, child).flavor is None and child.flavor != run.flavor:
            child.flavor, child.max_cost_micro_usd = run.flavor, None
            refuse_impossible(session, child, now, is_queued=True)
            runs.line_up(session, child)
            session.add(child)
    run.held_back_micro_usd = None
    _share(run, followers)


def held_back(session: Session, run: Run, now: datetime) -> int | None:
    """What `go_along` would hold back of the run's cap; writes nothing."""
    followers = [] if run.max_cost_micro_usd is None else _open(session, run)
    total = 0
    for child in followers:
        one = Run(**child.model_dump())
        if _asked(run, child).flavor is None:
            one.flavor, one.max_cost_micro_usd = run.flavor, None
            refuse_impossible(session, one, now, is_queued=True)
        total += one.ceiling_micro_usd or 0
    return total if followers else None


def _child(run: Run, source: Run, asked: AnyFollowUp, by: str, now: datetime) -> Run:
    return child_of(
        run,
        asked.kind,
        asked.timeout or TIMEOUT_SECONDS[asked.kind],
        now,
        requested_by=by,
        recipe=_recipe(run, source, asked),
        flavor=asked.flavor or run.flavor,
        output_repo=merged_repo(asked, str(run.output_repo)) if isinstance(asked, MergeLora) else None,
        image=run.image,
        env=run.env,
    )


def _recipe(run: Run, source: Run, asked: AnyFollowUp) -> dict[str, Any]:
    """The recipe of what follows `run` on the model of `source`; of one that goes on yet, that is known by its name."""
    trained, pins = read(run.recipe), run.pins or {}
    if source.output is not None and has_model(source.output):
        model = model_in(source.output, pins)
    else:
        model = Model(str(source.output_repo), is_adapter=due(source.recipe) is Due.ADAPTER)
    return script_of(asked, model, trained, pins, str(run.output_repo))


def _share(run: Run, followers: Sequence[Run]) -> None:
    """Each may cost its ceiling of the run's cap, and that is held back of it."""
    if run.max_cost_micro_usd is None:
        return
    for child in followers:
        child.max_cost_micro_usd = child.ceiling_micro_usd
    run.held_back_micro_usd = (run.held_back_micro_usd or 0) + sum(one.ceiling_micro_usd or 0 for one in followers)


def _open(session: Session, run: Run) -> list[Run]:
    """What follows a run and has no job yet."""
    ids = [one["run_id"] for one in run.then or ()]
    found = [runs.lock(session, run_id) for run_id in ids]
    return [child for child in found if child is not None and child.state == RunState.QUEUED]


def _last_merge(session: Session, run: Run) -> Run | None:
    """The merge that was asked for last, unless it came to nothing."""
    for one in reversed(run.then or ()):
        if one["kind"] == "merge_lora":
            merge = runs.lock(session, one["run_id"])
            if merge is not None and merge.cancel_requested_at is None and merge.state not in ENDED_BADLY:
                return merge
    return None


def _kept(asked: AnyFollowUp) -> dict[str, Any]:
    return asked.model_dump(mode="json", exclude_none=True)


def _asked(parent: Run, child: Run) -> AnyFollowUp:
    kept = next(one for one in parent.then or () if one["run_id"] == child.id)
    return READ.validate_python({name: value for name, value in kept.items() if name != "run_id"})


@contextmanager
def _within(place: str) -> Iterator[None]:
    """Problems with a follow-up are told with its place in the body."""
    try:
        yield
    except Invalid as error:
        error.field = f"{place}.{error.field}" if error.field else place
        raise
