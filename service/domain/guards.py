"""What a run wants done when its training goes wrong while it still costs money."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from pydantic import Field

from service.domain.body import Body
from service.domain.run import Reason

Policy = Literal["off", "warn", "stop"]


class Guard(StrEnum):
    """What is watched for while a job runs, the worst first."""

    NAN = "nan"
    DIVERGENCE = "divergence"
    STALL = "stall"
    TIMEOUT = "timeout"
    COST = "cost"


# What a run that was stopped by a guard has failed of.
CAUSES: Mapping[Guard, Reason] = {
    Guard.NAN: Reason.NAN_LOSS,
    Guard.DIVERGENCE: Reason.DIVERGING,
    Guard.STALL: Reason.STALLED,
    Guard.TIMEOUT: Reason.JOB_TIMEOUT,
    Guard.COST: Reason.EXCEEDS_LIMIT,
}


class Guards(Body):
    """`warn` tells of it (`warnings` on the run, event `run.warning`), `stop` also ends the job once it is certain: the
    run fails with the cause, and the rest of its money is free. `off` says nothing."""

    nan: Policy = Field("stop", description="The loss is NaN or infinite, also where TRL prints it as 0")
    divergence: Policy = Field("warn", description="The loss runs away")
    stall: Policy = Field("warn", description="No sign of a step for far longer than steps take")
    timeout: Policy = Field("warn", description="At its pace the training will not end before its timeout")
    cost: Policy = Field("warn", description="At its pace the run will cost more than the estimate's p90")
