"""What a caller allows of tries after the first."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.domain.body import Body

Allowed = Literal["max_length", "lora"]


class Retry(Body):
    """Failures that are not the run's own fault are tried again as it is; those that a setting repairs, with the
    smallest change that is expected to. All tries together stay within `max_cost_usd` and every budget."""

    max_attempts: int = Field(3, ge=1, le=10, description="Jobs in all, the first one counted")
    rescue: bool = Field(
        True,
        description="Have a child run publish a model that was trained and is only in the run's bucket",
    )
    allow: list[Allowed] = Field(
        default_factory=list,
        max_length=2,
        description="What of the training itself a repair may change: shorten rows (`max_length`), or train adapters "
        "in place of all weights (`lora`). Batch and accumulation are changed together, and learn from as many rows",
    )
