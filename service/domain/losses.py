"""What a series of losses tells of a training: that it broke, or that it ran away.

The same rules watch a running job (`domain.guards`) and judge an ended one (`domain.diagnosis`). A loss that is NaN or
infinite, or that a filter printed as zero while the gradient was NaN, is `inf` here.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import median

# A run diverged if its last losses lie this far above its first ones; or somewhat above, and far above its best.
FAR, SOMEWHAT = 2.0, 1.3
FAR_ABOVE_BEST = 3.0
LEAST_GROWTH = 1.0
ABSURD = 20.0  # no language model's loss: the logarithm of the largest vocabulary is 13
FEWEST_LOSSES = 5
# A loss that fell from here to exactly zero at once, and stayed there, is a NaN that a filter hid.
ALIVE, FEWEST_ZEROS = 0.5, 3


def first_broken(losses: Sequence[float]) -> int | None:
    """Where the first broken loss is, in a series that did not recover: the last one is broken, or half of the last
    quarter, or all are zero from one on. One that was skipped on the way is no harm."""
    if not losses:
        return None
    zeros = next((at for at in range(len(losses), 0, -1) if losses[at - 1] != 0), 0)
    is_dead = len(losses) - zeros >= max(FEWEST_ZEROS, len(losses) // 2)
    if is_dead and zeros > 0 and losses[zeros - 1] > ALIVE and isfinite(losses[zeros - 1]):
        return zeros
    tail = losses[-max(1, len(losses) // 4) :]
    broken = sum(not isfinite(loss) for loss in tail)
    if isfinite(losses[-1]) and 2 * broken <= len(tail):
        return None
    return next((at for at, loss in enumerate(losses) if not isfinite(loss)), None)


def peak_of_divergence(losses: Sequence[float]) -> int | None:
    """Where the highest of the last losses is, in a series that ran away. By medians of a fifth of the run each, so
    that a spike, or a noisy batch, is not taken for it."""
    places = [at for at, loss in enumerate(losses) if isfinite(loss)]
    values = [losses[at] for at in places]
    if len(values) < FEWEST_LOSSES:
        return None
    width = max(2, len(values) // 5)
    early, late = median(values[:width]), median(values[-width:])
    best = min(median(values[at : at + width]) for at in range(0, len(values) - width + 1, max(1, width // 2)))
    has_exploded = late > FAR * early or (late > SOMEWHAT * early and late > FAR_ABOVE_BEST * best)
    had_exploded = late > ABSURD and late > FAR * values[0] > 0  # it had gone wrong before its second entry
    if not had_exploded and (early <= 0 or late - early < LEAST_GROWTH or not has_exploded):
        return None
    return max(places[-width:], key=lambda at: losses[at])
