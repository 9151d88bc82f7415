"""An estimate as the answer of the API shows it."""

from __future__ import annotations

from typing import Any

from service.domain.estimate.cost import Cost
from service.domain.estimate.estimate import Estimate, FlavorEstimate
from service.domain.estimate.memory import GIB, Memory
from service.domain.money import to_usd


def estimate_json(estimate: Estimate) -> dict[str, Any]:
    """`{flavors, recommended, memory, warnings}`: GiB, minutes and dollars; null is what is not known."""
    return {
        "flavors": [flavor_json(one) for one in estimate.flavors],
        "recommended": estimate.recommended,
        "memory": None if estimate.memory is None else _memory(estimate.memory),
        "warnings": list(estimate.warnings),
    }


def flavor_json(one: FlavorEstimate) -> dict[str, Any]:
    """One item of `flavors`."""
    minutes, cost = one.minutes, one.cost
    return {
        "flavor": one.flavor.name,
        "verdict": one.verdict.value,
        "message": one.message,
        "vram_gib": None if one.vram_gib is None else round(one.vram_gib, 1),
        "usable_gib": None if one.flavor.card is None else round(one.flavor.card.usable_gib, 1),
        "disk_gb": None if one.disk_gb is None else round(one.disk_gb, 1),
        "minutes": None if minutes is None else {"p50": minutes.told_p50, "p90": round(minutes.p90, 1)},
        "timeout_seconds": one.timeout_seconds,
        "cost_usd": None if cost is None else cost_json(cost),
        "calibration": {"runs": one.calibration.runs, "within_p90": one.calibration.within_p90},
    }


def cost_json(cost: Cost) -> dict[str, float]:
    """`cost_usd`: dollars."""
    return {"p50": to_usd(cost.p50), "p90": to_usd(cost.p90), "ceiling": to_usd(cost.ceiling)}


def _memory(memory: Memory) -> dict[str, Any]:
    """The peak and the terms whose sum it is; what is added for the CUDA context and fragmentation is in `vram_gib`."""
    return {
        "peak_gib": round(memory.peak_gib, 2),
        "moment": memory.moment,
        "terms_gib": {name: round(size / GIB, 3) for name, size in memory.terms_bytes.items()},
    }
