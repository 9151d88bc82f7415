"""Graphics cards of Hugging Face's flavors, read from its hardware listing.

Usable memory is what CUDA reports as total less what its driver keeps (a 24 GB A10G reports 22.06 GiB). Peaks are
dense bf16/fp16 tensor TFLOPS of NVIDIA's data sheets: T4, L4, A100, H200, L40S as in Lightning's throughput table,
A10G 70 (the table's 125 is the A10's), RTX PRO 6000 Blackwell Server 504. The share of the peak that a training
reaches is an assumption until a team's own runs calibrate it; published anchors are 32 % on an A100 (mlx-lm,
Llama-3.2-3B LoRA) and 48–58 % (GPT-NeoX).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Of a card that is not in the table: the least that the known ones leave of what is listed.
USABLE_SHARE = 0.91


@dataclass(frozen=True)
class Card:
    """One GPU. `usable_gib` for the training, `tflops` at best, and the range of the share of it that is reached."""

    name: str
    usable_gib: float
    tflops: float | None
    efficiency: tuple[float, float] = (0.2, 0.4)
    has_bf16: bool = True


CARDS = {
    card.name: card
    for card in (
        Card("T4", 14.6, 65, (0.15, 0.30), has_bf16=False),
        Card("L4", 22.0, 121, (0.25, 0.40)),
        Card("A10G", 22.0, 70, (0.30, 0.50)),
        Card("L40S", 44.4, 362, (0.20, 0.35)),
        Card("A100", 79.1, 312, (0.30, 0.45)),
        Card("RTX PRO 6000", 94.9, 504, (0.20, 0.35)),
        Card("H200", 139.8, 989, (0.25, 0.40)),
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
