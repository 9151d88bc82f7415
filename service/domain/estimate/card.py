"""Graphics cards of Hugging Face's flavors, read from its hardware listing.

Usable memory is what CUDA reports as total less what its driver keeps (a 24 GB A10G reports 22.06 GiB). Peaks are
dense bf16/fp16 tensor TFLOPS of NVIDIA's data sheets: T4, L4, A100, H200, L40S as in Lightning's throughput table, A10G
from the data sheet of that card (the table's 125 is the A10's), RTX PRO 6000 Blackwell an eighth of the 4000 TOPS that
it lists for sparse FP4. The share of the peak that a training reaches is what published trainings reached; where none
is known it is a guess, and its range counts for half of all trainings in place of four fifths.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

from service.domain.estimate.calibration import Z90

# The 75th percentile of the normal distribution: half of it lies within.
Z75 = 0.6745
# Of a card that is not in the table: the least that the known ones leave of what is listed.
USABLE_SHARE = 0.91


@dataclass(frozen=True)
class Card:
    """One GPU. `usable_gib` for the training, `tflops` at best, the range of the share of it that is reached, and where
    that was `measured`; None: it is a guess."""

    name: str
    usable_gib: float
    tflops: float | None
    efficiency: tuple[float, float] = (0.2, 0.4)
    measured: str | None = None
    has_bf16: bool = True

    @property
    def spread(self) -> float:
        """Standard deviation of the logarithm of the speed."""
        low, high = self.efficiency
        return log(high / low) / 2 / (Z75 if self.measured is None else Z90)


CARDS = {
    card.name: card
    for card in (
        Card("T4", 14.6, 65, (0.15, 0.30), has_bf16=False),
        Card("L4", 22.0, 121, (0.25, 0.40)),
        Card("A10G", 22.0, 70, (0.30, 0.50)),
        Card("L40S", 44.4, 362, (0.20, 0.35)),
        # 41 to 53 % by `operations_per_token`; mlx-lm, Llama-3.2-3B LoRA: 32 %
        Card("A100", 79.1, 312, (0.30, 0.50), "QwenLM/Qwen README: seconds per step, LoRA of 7B and 14B on one"),
        # 4,962 tokens a second: 31 % without, 45 % with gradient checkpointing, of which it does not tell
        Card("RTX PRO 6000", 94.9, 504, (0.25, 0.46), "Exxact, LoRA Fine Tuning Benchmark: Llama-3.1-8B on one"),
        # the H100 has the same tensor cores; 27 to 46 % in bf16, by tuned code on eight of them
        Card("H200", 139.8, 989, (0.25, 0.45), "mosaicml/llm-foundry, benchmarking: MPT 1B to 70B on H100"),
    )
}


@dataclass(frozen=True)
class Flavor:
    """A flavor: what it has and costs. `card` is None without a GPU; `disk_gb` and `ram_gb` None where not listed."""

    name: str
    price_per_minute_micro_usd: int | None
    card: Card | None = None
    gpus: int = 0
    disk_gb: float | None = None
    ram_gb: float | None = None


def read_flavor(hardware: Mapping[str, Any], price_per_minute_micro_usd: int | None) -> Flavor:
    """One item of `GET /api/jobs/hardware`. A listed VRAM is that of all its GPUs together."""
    accelerator = hardware.get("accelerator")
    disk_gb, ram_gb = _gigabytes(hardware.get("ephemeralStorage")), _gigabytes(hardware.get("ram"))
    name = str(hardware.get("name", ""))
    if not isinstance(accelerator, Mapping) or accelerator.get("type") != "gpu":
        return Flavor(name, price_per_minute_micro_usd, disk_gb=disk_gb, ram_gb=ram_gb)
    gpus = max(1, int(_gigabytes(accelerator.get("quantity")) or 1))
    listed = (_gigabytes(accelerator.get("vram")) or 0.0) / gpus
    model = str(accelerator.get("model", ""))
    known = CARDS.get(model)
    # a card of the same name with other memory (an A100 of 40 GB) is another card
    if known is None or (listed and not 0.85 < known.usable_gib / listed <= 1):
        known = Card(model, USABLE_SHARE * listed, None if known is None else known.tflops)
    return Flavor(name, price_per_minute_micro_usd, known, gpus, disk_gb, ram_gb)


def _gigabytes(text: object) -> float | None:
    """The number before the unit in `"110 GB"`; a terabyte is a thousand."""
    match = re.match(r"\s*(\d+(?:\.\d+)?)\s*(TB)?", str(text)) if text is not None else None
    return None if match is None else float(match[1]) * (1000 if match[2] else 1)
