"""Whether a training fits a flavor, GPU memory and disk.

Beside the counted peak there are the CUDA context (0.5 to 0.7 GiB), cuBLAS' workspace (up to 0.1) and what the
allocator loses to fragmentation: published ratios of reserved to allocated are 1.15 to 1.22 at worst and near 1.05 as
a rule.
"""

from __future__ import annotations

from enum import StrEnum

from service.domain.estimate.card import Flavor

MOST_GB = 1_000_000  # beyond that the number says nothing


class Verdict(StrEnum):
    """`tight` fits as a rule, but not with the worst fragmentation that was published."""

    FITS = "fits"
    TIGHT = "tight"
    DOES_NOT_FIT = "does_not_fit"
    NOT_COVERED = "not_covered"


def needed_gib(peak_gib: float) -> float:
    """GPU memory to have for a counted peak, both in GiB: `vram_gib` of an estimate."""
    return 1.05 * peak_gib + 1


def memory_verdict(peak_gib: float, usable_gib: float) -> Verdict:
    """A counted peak against what a card can give, both in GiB."""
    if needed_gib(peak_gib) > usable_gib:
        return Verdict.DOES_NOT_FIT
    return Verdict.FITS if 1.20 * peak_gib + 0.6 <= usable_gib else Verdict.TIGHT


def without_card(flavor: Flavor) -> str:
    """Why a flavor without a GPU does not fit any training that is not told to use the CPU."""
    return f"{flavor.name} has no GPU, and the training is not told to do without ('use_cpu')."


def judge(flavor: Flavor, peak_gib: float, disk_gb: float, on_cpu: bool) -> tuple[Verdict, str]:
    """The verdict on a flavor and the reason in a sentence. Several GPUs train in parallel, each with the same need."""
    if flavor.card is None:
        if on_cpu:
            return Verdict.NOT_COVERED, "The memory of a training on CPUs is not covered."
        return Verdict.DOES_NOT_FIT, without_card(flavor)
    each = " each" if flavor.gpus > 1 else ""
    card = flavor.card
    need = f"needs {needed_gib(peak_gib):.1f} GiB of GPU memory{each}; the {card.name} has {card.usable_gib:.1f}"
    verdict = memory_verdict(peak_gib, flavor.card.usable_gib)
    if verdict is Verdict.DOES_NOT_FIT:
        return verdict, f"It {need}."
    if flavor.disk_gb is not None and disk_gb > flavor.disk_gb:
        need = f"{disk_gb:.0f}" if disk_gb < MOST_GB else f"more than {MOST_GB:,}"
        return Verdict.DOES_NOT_FIT, f"It needs {need} GB of disk; {flavor.name} has {flavor.disk_gb:.0f}."
    return verdict, f"It {need}."
