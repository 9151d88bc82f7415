"""What a job used of its machine, by the samples that were taken: a peak between two samples is not seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Machine:
    """Bytes and percent; None is unknown. Of several GPUs, the one that used most."""

    samples: int = 0
    memory_peak_bytes: int | None = None
    gpu_memory_peak_bytes: int | None = None
    gpu_memory_total_bytes: int | None = None
    gpu_utilization_mean: float | None = None

    def with_sample(
        self, memory: int | None, gpu_memory: int | None, gpu_total: int | None, gpu_utilization: float | None
    ) -> Machine:
        """The same after one more look."""
        mean = self.gpu_utilization_mean
        if gpu_utilization is not None:
            mean = ((mean or 0.0) * self.samples + gpu_utilization) / (self.samples + 1)
        return Machine(
            self.samples + 1,
            _greater(self.memory_peak_bytes, memory),
            _greater(self.gpu_memory_peak_bytes, gpu_memory),
            _greater(self.gpu_memory_total_bytes, gpu_total),
            None if mean is None else round(mean, 2),
        )

    def as_json(self) -> dict[str, Any]:
        """`machine` of an attempt."""
        return asdict(self)


def _greater(a: int | None, b: int | None) -> int | None:
    known = [value for value in (a, b) if value is not None]
    return max(known, default=None)
