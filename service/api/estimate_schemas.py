"""An estimate on the wire."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from service.api.wire import Wire


class Range(Wire):
    """Half of such trainings stay below `p50`, nine of ten below `p90`."""

    p50: float
    p90: float


class CostRange(Range):
    """Dollars; `ceiling` is the most that a run with that timeout can cost, and what is reserved."""

    ceiling: float


class CalibrationObject(Wire):
    """The team's own finished runs of this model family and flavor that the time was corrected by."""

    runs: int
    within_p90: float | None = Field(description="The share of them that ended within the p90 they were told")


class FlavorEstimateObject(Wire):
    """One flavor; null is what is not known."""

    flavor: str
    verdict: Literal["fits", "tight", "does_not_fit", "not_covered"]
    message: str
    vram_gib: float | None = Field(description="GPU memory needed, with the CUDA context: 1.05 x the counted peak + 1")
    usable_gib: float | None
    disk_gb: float | None
    minutes: Range | None
    timeout_seconds: int | None = Field(description="A timeout that nine of ten such trainings end well within")
    cost_usd: CostRange | None
    calibration: CalibrationObject


class MemoryObject(Wire):
    """The peak of one training step and the terms whose sum it is, in GiB."""

    peak_gib: float
    moment: str
    terms_gib: dict[str, float]


class ChangeObject(Wire):
    """The smallest change with which the training would fit the flavor that was asked for."""

    args: dict[str, Any]
    lora: dict[str, Any] | None
    quantization: dict[str, Any] | None
    message: str


class SplitObject(Wire):
    """The batch split otherwise, with the same effective batch, on the flavor that was asked for or chosen."""

    args: dict[str, int]
    verdict: Literal["fits", "tight", "does_not_fit", "not_covered"]
    vram_gib: float | None


class ChoiceObject(Wire):
    """What `"flavor": "auto"` would take, and why."""

    flavor: str | None
    reason: str


class PilotEstimateObject(Wire):
    """The pilot of the body, a run of its own before the run: its cost is not in the run's."""

    flavor: str
    max_steps: int
    timeout_seconds: int
    verdict: Literal["fits", "tight", "does_not_fit", "not_covered"]
    message: str
    vram_gib: float | None
    minutes: Range | None
    cost_usd: CostRange | None


class EstimateObject(Wire):
    """Flavors cheapest first. `recipe` is what would be stored, with what a preset filled in."""

    flavors: list[FlavorEstimateObject]
    recommended: str | None = Field(description="The flavor that fits and costs least")
    memory: MemoryObject | None
    change: ChangeObject | None
    choice: ChoiceObject
    splits: list[SplitObject] = Field(description="Offered, never made, unless `recipe.fit_batch` asks for it")
    pilot: PilotEstimateObject | None = Field(description="What the body's pilot would need and cost")
    warnings: list[str]
    command: str | None = Field(
        description="The same training as TRL's own command; null where a config file or more would be needed",
        examples=["trl sft --model_name_or_path HuggingFaceTB/SmolLM3-3B --dataset_name trl-lib/Capybara"],
    )
    recipe: dict[str, Any]
