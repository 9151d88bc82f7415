"""The flavors of Hugging Face Jobs: their hardware and prices, as GET /api/jobs/hardware gives them.

`hardware.json` is that answer as the public service gave it in 2026-11; prices are micro-USD per minute.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

HARDWARE: list[dict[str, Any]] = json.loads(resources.files(__package__).joinpath("hardware.json").read_text("utf-8"))


@dataclass(frozen=True)
class Flavor:
    """One kind of machine; `cpu_cores` counts virtual cores, `gpu_memory_gb` is that of one GPU."""

    name: str
    cpu_cores: int
    memory_gib: float
    has_accelerator: bool
    gpus: int
    gpu_memory_gb: float
    micro_usd_per_minute: int

    def variables(self) -> dict[str, str]:
        """The variables that describe the machine inside a job (hub-docs jobs-configuration.md).

        ACCELERATOR is the flavor's name, or `none` for a machine with processors only; MEMORY reads like `16Gi`.
        """
        return {
            "ACCELERATOR": self.name if self.has_accelerator else "none",
            "CPU_CORES": str(self.cpu_cores),
            "MEMORY": f"{self.memory_gib:g}Gi",
        }


def _flavor(row: dict[str, Any]) -> Flavor:
    cores, memory = int(_number(row["cpu"])), _number(row["ram"])
    accelerator = row["accelerator"] or {"quantity": "0", "vram": "0"}
    gpus = int(accelerator["quantity"])
    each = _number(accelerator["vram"]) / max(1, gpus)
    return Flavor(row["name"], cores, memory, gpus > 0, gpus, each, row["unitCostMicroUSD"])


def _number(text: str) -> float:
    found = re.match(r"[\d.]+", text)
    assert found, text
    return float(found[0])


FLAVORS: dict[str, Flavor] = {row["name"]: _flavor(row) for row in HARDWARE}
