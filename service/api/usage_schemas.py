"""The wire's objects about what was spent. Dollars; null is unknown, never 0."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field

from service.api.wire import Wire


class UsageSum(Wire):
    """What some charges come to."""

    runs: int = Field(
        description="Distinct runs, charged or holding money: one that is in several groups counts in each"
    )
    attempts: int = Field(description="Attempts that were charged, or billed without a charge")
    minutes: int
    metered_usd: float = Field(description="What the ledger charged: running time by the minute rule")
    billed_usd: float | None = Field(description="What Hugging Face billed; null while one attempt's bill is unknown")
    drift_usd: float | None = Field(description="billed_usd − metered_usd")
    unbilled_attempts: int = Field(description="Charged attempts whose bill is not known yet")
    reserved_usd: float = Field(description="Held now; only in a period that contains the present")


class UsageGroup(UsageSum):
    """One group: beside the sums, each dimension of `group_by` as a member of its name; null where a run has no such
    label."""

    model_config = ConfigDict(extra="allow")


class WasteOutcome(Wire):
    """The money of one outcome."""

    outcome: str = Field(examples=["useful", "timed_out", "cancelled", "output_missing", "failed:cuda_oom"])
    metered_usd: float
    share: float | None
    runs: int


class WasteObject(Wire):
    """What made no run succeed; `outcomes` has the most money first."""

    wasted_usd: float
    wasted_share: float | None = Field(description="Between 0 and 1; null where nothing was spent")
    outcomes: list[WasteOutcome]


class UsageObject(Wire):
    """What was spent from `from` up to but not at `to`. The groups' money adds up to the total, and that to the
    ledger's charges."""

    model_config = ConfigDict(populate_by_name=True)

    from_: datetime = Field(alias="from")
    to: datetime
    time_zone: str = Field(description="In which days begin")
    data: list[UsageGroup]
    total: UsageSum
    waste: WasteObject


class ImportObject(Wire):
    """What came of a statement's rows."""

    rows: int
    matched: int = Field(description="Jobs of this service")
    changed: int = Field(description="Of those, jobs whose bill was not known, or other")
    unknown: int = Field(description="Jobs that are not this service's: passed over")
    unsettled: int = Field(description="Jobs that have not been charged yet: passed over, import them again later")
    drifted: int = Field(description="Jobs newly found to be billed otherwise than metered")
