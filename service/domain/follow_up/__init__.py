"""Follow-ups: child runs that go on from the model of a run: merge its adapter, try it, measure it."""

from service.domain.follow_up.asked import (
    MOST_FOLLOW_UPS,
    TIMEOUT_SECONDS,
    AnyFollowUp,
    Evaluate,
    FollowUp,
    MergeLora,
    SmokeTest,
    check_order,
    merged_repo,
)
from service.domain.follow_up.job import Model, has_model, model_in, script_of
from service.domain.follow_up.result import failure_in, read_result

FOLLOW_UPS = frozenset(TIMEOUT_SECONDS)

__all__ = [
    "FOLLOW_UPS",
    "MOST_FOLLOW_UPS",
    "TIMEOUT_SECONDS",
    "AnyFollowUp",
    "Evaluate",
    "FollowUp",
    "MergeLora",
    "Model",
    "SmokeTest",
    "check_order",
    "failure_in",
    "has_model",
    "merged_repo",
    "model_in",
    "read_result",
    "script_of",
]
