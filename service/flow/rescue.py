"""rescue: a child run brings to the Hub what a run has trained and could not publish.

For cents, on a flavor without a GPU, from the run's bucket. The run itself has failed and stays so: its outcome is
never overwritten; what was brought becomes its output.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from service.domain.checkpoints import MOUNT_PATH
from service.domain.errors import Conflict, ExceedsLimit, ServiceError
from service.domain.money import dollars
from service.domain.recipe import read, stored
from service.domain.repair import rescue as domain
from service.domain.repair.again import Again
from service.domain.run import Reason, RunState
from service.domain.trl_sft import TrlSft
from service.flow.ceiling import refuse_impossible
from service.flow.child import child_of, refuse_gone
from service.flow.means import left_of_cap
from service.store import holds, runs
from service.store.tables import Run

KIND = domain.KIND
OPEN = [state.value for state in RunState if not state.is_terminal]


def offer(session: Session, run: Run, cause: Reason, now: datetime) -> Again | None:
    """What a rescue of a run would be and cost; None where there is nothing to rescue."""
    if (folder := domain.folder_in(run.saved, cause, run.progress)) is None:
        return None
    child = _child(run, folder, run.output_repo or "", run.requested_by, now)
    try:
        refuse_impossible(session, child, now)
    except ServiceError:
        return None
    note = f"a run on {child.flavor} publishes what is in {run.bucket}"
    return Again((), note, child.ceiling_micro_usd)


def rescue(session: Session, run: Run, by: str, now: datetime, output_repo: str | None = None) -> Run:
    """The child run, queued; `run` is held. Raises Conflict where there is nothing to rescue or somebody does it
    already, ExceedsLimit where the run's cap does not hold it, and what is raised for a run that can never start."""
    cause = Reason(run.reason) if run.state == RunState.FAILED and run.reason is not None else Reason.UNKNOWN
    folder = (
        domain.folder_in(run.saved, cause, run.progress) if run.state in (RunState.FAILED, RunState.CANCELLED) else None
    )
    repo = output_repo or run.output_repo
    if folder is None or repo is None:
        raise Conflict(
            "nothing of this run can be rescued: that is for one that trained to its end, failed to publish, and has "
            "its model or a checkpoint in its bucket still",
            remedy="'failure' and 'checkpoints' on the run say what became of it; POST /runs/{id}/retry trains anew.",
        )
    if (other := _rescuer(session, run)) is not None:
        raise Conflict(f"{other.id} does that already, and is {other.state}", remedy="Wait for it.")
    refuse_gone(session, run)
    child = _child(run, folder, repo, by, now)
    refuse_impossible(session, child, now)
    _refuse_over_cap(session, run, child)
    holds.hold_for_approval(session, child, now)
    if (held := holds.reason_of(child)) is not None:
        child.reason, child.message = held
    runs.insert(session, child, now)
    return child


def by_policy(session: Session, run: Run, now: datetime) -> str | None:
    """Rescue a run that has just failed, if its policy says so; why not, where it does and that cannot be."""
    cause = Reason(run.reason or Reason.UNKNOWN)
    if (
        run.output_repo is None
        or run.retry is None
        or not run.retry["rescue"]
        or domain.folder_in(run.saved, cause, run.progress) is None
    ):
        return None
    try:
        with session.begin_nested():
            rescue(session, run, run.requested_by, now)
    except ServiceError as error:
        return error.detail
    return None


def conclude(session: Session, child: Run, now: datetime) -> None:
    """What a rescue brought becomes the output of the run that it was for."""
    run = runs.lock(session, child.parent or "")
    if run is None or child.output is None:
        return
    run.output = child.output
    run.failure = {**(run.failure or {}), "rescue": None, "rescued_by": child.id}
    runs.tell(session, run, "run.rescued", now, by=child.id)


def _rescuer(session: Session, run: Run) -> Run | None:
    mine = select(Run).where(Run.parent == run.id, Run.kind == domain.KIND)
    return session.exec(mine.where(col(Run.state).in_([*OPEN, RunState.SUCCEEDED.value]))).first()


def _refuse_over_cap(session: Session, run: Run, child: Run) -> None:
    left = left_of_cap(session, run)
    if left is not None and child.ceiling_micro_usd is not None and child.ceiling_micro_usd > left:
        raise ExceedsLimit(
            f"a rescue can cost {dollars(child.ceiling_micro_usd)}, and {dollars(left)} of max_cost_usd are left",
            field="max_cost_usd",
            remedy="Submit the run anew with a larger max_cost_usd.",
        )


def _child(run: Run, folder: str, output_repo: str, by: str, now: datetime) -> Run:
    recipe = read(run.recipe)
    private = isinstance(recipe, TrlSft) and recipe.flags().get("hub_private_repo") is True
    kept, _ = stored(domain.script(folder, output_repo, run.id, private=private))
    volume = {"type": "bucket", "source": run.bucket, "mount_path": MOUNT_PATH, "read_only": True}
    return child_of(
        run,
        KIND,
        domain.timeout_seconds((run.saved or {}).get("size_bytes") or 0),
        now,
        message=f"rescues the model of {run.id}; the gates are checked next",
        requested_by=by,
        recipe=kept,
        flavor=domain.FLAVOR,
        output_repo=output_repo,
        volumes=[{**volume, "revision": None, "path": None}],
        checkpoints="off",
    )
