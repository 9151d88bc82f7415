"""A pilot: a few steps of a run first, cheap and without publishing, to measure what would otherwise be guessed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from service.domain.body import Body
from service.domain.estimate.verdict import Verdict
from service.domain.flavor_name import FlavorName
from service.domain.trl_sft import TrlSft

TIMEOUT_SECONDS = 600
# A timeout leaves this much beside what the measured speed comes to: the first steps are not like all others.
MARGIN = 1.5
ROUNDED_TO_SECONDS = 300
# Rows differ and machines too: an assumption.
P90_OVER_P50 = 1.2
# PyTorch keeps freed memory in stock while the card has room: the published ratios are 1.15 to 1.22 at worst.
RESERVED_OVER_ALLOCATED = 1.2
# What a pilot does not do: it saves, evaluates and publishes nothing, and begins at the beginning.
WITHOUT = {"save_strategy": "no", "eval_strategy": "no"}
# What of a recipe is about that, or about the whole length of a run. A schedule changes neither time nor memory of a
# step, and some follow an evaluation.
LEFT_OUT = frozenset(
    (
        "num_train_epochs",
        "do_eval",
        "eval_delay",
        "eval_on_start",
        "eval_packing",
        "eval_steps",
        "greater_is_better",
        "load_best_model_at_end",
        "lr_scheduler_kwargs",
        "lr_scheduler_type",
        "metric_for_best_model",
        "resume_from_checkpoint",
        "save_only_model",
        "save_steps",
        "save_total_limit",
    )
)


def timeout_of(run_timeout_seconds: int | None) -> int:
    """A pilot's timeout: ten minutes at the most, whatever the run's is, and no longer than the run's."""
    return TIMEOUT_SECONDS if run_timeout_seconds is None else min(TIMEOUT_SECONDS, run_timeout_seconds)


class Pilot(Body):
    """`max_steps` of the run as a child run of at most ten minutes. The run starts only if it passes; with `confirm` it
    then waits for an approval with the measured numbers."""

    max_steps: int = Field(20, ge=1, le=1000)
    flavor: FlavorName | None = Field(None, description="Another flavor for the pilot; the run's own if left out")
    confirm: bool = False


@dataclass(frozen=True)
class Pace:
    """What a pilot showed of time, in seconds: one step, and everything around the steps."""

    step_seconds: float
    around_seconds: float

    def seconds(self, steps: int) -> float:
        """How long so many steps take."""
        return self.around_seconds + self.step_seconds * steps

    def timeout_seconds(self, steps: int) -> int:
        """A timeout for so many steps, in whole five minutes."""
        return math.ceil(MARGIN * self.seconds(steps) / ROUNDED_TO_SECONDS) * ROUNDED_TO_SECONDS

    def minutes(self, steps: int) -> dict[str, float]:
        """Minutes of the whole job, as in an estimate."""
        expected = self.seconds(steps) / 60
        return {"p50": round(expected, 1), "p90": round(P90_OVER_P50 * expected, 1)}


def pilot_recipe(recipe: TrlSft, pilot: Pilot) -> TrlSft:
    """The same recipe for a few steps."""
    recipe = recipe.as_asked()
    args = {name: value for name, value in recipe.args.items() if name not in LEFT_OUT}
    return recipe.model_copy(update={"args": {**args, **WITHOUT, "max_steps": pilot.max_steps}, "eval": None})


def pace_of(progress: Mapping[str, Any] | None, running_seconds: float | None) -> Pace | None:
    """Read from a pilot that has ended: Trainer's own `train_runtime` over its steps, and the rest of the job's time.
    None where the log did not say."""
    told = progress or {}
    train_seconds, steps = told.get("train_seconds"), told.get("total_steps") or told.get("step")
    if not train_seconds or not steps or running_seconds is None:
        return None
    return Pace(train_seconds / steps, max(0.0, running_seconds - train_seconds))


def pace_on(pace: Pace, here: Mapping[str, Any] | None, there: Mapping[str, Any] | None) -> Pace | None:
    """The pace that one flavor showed, on another: by how the stored estimates of both compare per step (`here` of the
    pilot, `there` of the run). None where an estimate has no time."""
    known = [(one or {}).get("training_minutes") and (one or {}).get("steps") for one in (here, there)]
    if here is None or there is None or not all(known):
        return None
    ratio = (there["training_minutes"] / there["steps"]) / (here["training_minutes"] / here["steps"])
    return Pace(pace.step_seconds * ratio, pace.around_seconds)


def measured_in(estimate: Mapping[str, Any], before: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    """What of an estimate that was made anew is known better: what the pilot measured (`pilot.measured`) and the stored
    estimate of before says of the same flavor. Empty where that is another flavor, or was not measured."""
    if before.get("measured_by") is None or before.get("flavor") != estimate.get("flavor"):
        return {}
    time = ("minutes", "timeout_seconds") if measured.get("expected_minutes") is not None else ()
    memory = ("vram_gib", "verdict", "message") if measured.get("gpu_gib") is not None else ()
    return {name: before[name] for name in ("measured_by", *time, *memory)}


def gpu_gib(machine: Mapping[str, Any] | None) -> float | None:
    """GiB of GPU memory that the job held at most, the CUDA context and what PyTorch keeps in stock included."""
    peak = (machine or {}).get("gpu_memory_peak_bytes")
    return None if not peak else peak / 2**30


def memory_told(measured_gib: float, card: str, usable_gib: float) -> dict[str, Any]:
    """What an estimate says of memory once it was measured. Within 5 % of the card, what fragmentation commonly adds
    (see `verdict.py`), it is tight."""
    verdict = Verdict.TIGHT if 1.05 * measured_gib > usable_gib else Verdict.FITS
    message = f"Its pilot held {measured_gib:.1f} GiB of GPU memory; the {card} has {usable_gib:.1f}."
    return {"vram_gib": round(measured_gib, 1), "verdict": verdict.value, "message": message}


def is_too_big(measured_gib: float, usable_gib: float) -> bool:
    """Whether what was held on one card is more than another has, the stock that PyTorch keeps taken off."""
    return measured_gib > RESERVED_OVER_ALLOCATED * usable_gib
