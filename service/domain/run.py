"""A run's states, the moves between them, and the reasons that explain where a run is.

States are few and drive the machine; reasons are many and only explain. `NEXT` is the machine:
`store.runs.advance` refuses every move that is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class RunState(StrEnum):
    """Where a run is on its way. `submitting`: money is reserved and a create call may be under way."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will change any more."""
        return self in TERMINAL


class Reason(StrEnum):
    """Why a run is where it is. Always shown together with a sentence for people."""

    # waiting
    CHECKING = "checking"
    WAITING_FOR_BUDGET = "waiting_for_budget"
    WAITING_FOR_SLOT = "waiting_for_slot"
    WAITING_FOR_DEPENDENCY = "waiting_for_dependency"
    WAITING_FOR_OUTPUT = "waiting_for_output"
    AWAITING_APPROVAL = "awaiting_approval"
    PAUSED = "paused"
    BACKING_OFF = "backing_off"
    NO_CAPACITY = "no_capacity"
    PRICE_UNKNOWN = "price_unknown"
    # on its way to `cancelled`, because a person asked
    CANCEL_REQUESTED = "cancel_requested"
    # why it was cancelled, where nobody asked for just that
    APPROVAL_REFUSED = "approval_refused"
    APPROVAL_EXPIRED = "approval_expired"
    DEPENDENCY_FAILED = "dependency_failed"
    PARENT_ENDED = "parent_ended"
    START_BEFORE_PASSED = "start_before_passed"
    TEAM_STOPPED = "team_stopped"
    STOPPED_EARLY = "stopped_early"
    SWEEP_SPENT = "sweep_spent"
    # failure causes
    JOB_TIMEOUT = "job_timeout"
    NO_CREDITS = "no_credits"
    SPEND_LIMIT = "spend_limit"
    HUB_AUTH = "hub_auth"
    HUB_FORBIDDEN = "hub_forbidden"
    HUB_UNAVAILABLE = "hub_unavailable"
    GATED_MODEL = "gated_model"
    MODEL_NOT_FOUND = "model_not_found"
    DATASET_NOT_FOUND = "dataset_not_found"
    DATASET_FORMAT = "dataset_format"
    DOES_NOT_FIT = "does_not_fit"
    EXCEEDS_BUDGET = "exceeds_budget"
    PREFLIGHT_FAILED = "preflight_failed"
    BAD_ARGUMENT = "bad_argument"
    MISSING_DEPENDENCY = "missing_dependency"
    CUDA_OOM = "cuda_oom"
    HOST_OOM = "host_oom"
    DISK_FULL = "disk_full"
    SCRIPT_ERROR = "script_error"
    NAN_LOSS = "nan_loss"
    DIVERGING = "diverging"
    CUDA_ERROR = "cuda_error"
    IMAGE_ERROR = "image_error"
    STALLED = "stalled"
    PUSH_FAILED = "push_failed"
    OUTPUT_MISSING = "output_missing"
    CANCELLED_OUTSIDE = "cancelled_outside"
    JOB_VANISHED = "job_vanished"
    INFRASTRUCTURE = "infrastructure"
    EXCEEDS_LIMIT = "exceeds_limit"
    SECRETS_LOST = "secrets_lost"
    UNKNOWN = "unknown"
    # what a log without a failure is found to be; no run has this as its reason
    OK = "ok"


NEXT: Mapping[RunState, frozenset[RunState]] = {
    # queued -> succeeded: the same inputs gave a model before, and the caller takes that one
    RunState.QUEUED: frozenset({RunState.SUBMITTING, RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}),
    RunState.SUBMITTING: frozenset({RunState.STARTING, RunState.QUEUED, RunState.FAILED, RunState.CANCELLED}),
    RunState.STARTING: frozenset({RunState.RUNNING, RunState.QUEUED, RunState.FAILED, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.QUEUED, RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}

TERMINAL = frozenset(state for state, following in NEXT.items() if not following)

# As the database has them: states of runs that have not ended.
LIVE = [state.value for state in RunState if state not in TERMINAL]

# These hold a slot: a job exists for them, or may exist.
ACTIVE = frozenset({RunState.SUBMITTING, RunState.STARTING, RunState.RUNNING})

# The event that tells of a state's beginning. Admission (queued -> submitting) is told by the `run.submitted` that
# follows it, once a job exists: a run that goes back to the queue instead is told as `run.queued` again.
EVENT: Mapping[RunState, str] = {
    RunState.QUEUED: "run.queued",
    RunState.STARTING: "run.submitted",
    RunState.RUNNING: "run.started",
    RunState.SUCCEEDED: "run.succeeded",
    RunState.FAILED: "run.failed",
    RunState.CANCELLED: "run.cancelled",
}


def how_it_ended(state: str) -> str:
    """A run's end in a sentence about it: `has failed`, `was cancelled`."""
    return "was cancelled" if state == RunState.CANCELLED else f"has {state}"


def require_edge(source: RunState, target: RunState) -> None:
    """Raise ValueError for a move that the machine does not have: a fault of ours, never of a caller."""
    if target not in NEXT[source]:
        raise ValueError(f"no move from {source} to {target}")
