"""How many GPUs a flavor has, from Hugging Face's own hardware list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def count(hardware: Mapping[str, Any] | None) -> int:
    """GPUs of an item of `GET /api/jobs/hardware`; 1 for CPU flavors and where nothing is known. The list writes the
    number as a text: `"accelerator": {"type": "gpu", "quantity": "4", …}`."""
    accelerator = (hardware or {}).get("accelerator")
    if not isinstance(accelerator, Mapping) or accelerator.get("type") != "gpu":
        return 1
    quantity = str(accelerator.get("quantity", "1"))
    return max(1, int(quantity)) if quantity.isdecimal() else 1
