"""A training that ran to no good: its loss broke or ran away. How sure that is depends on how much the log shows."""

from __future__ import annotations

from service.domain.diagnosis.failure import Failure, failure
from service.domain.diagnosis.training import Training
from service.domain.run import Reason

RAN_AWAY = 0.85
UNSURE = 0.75  # how much less it counts where the log breaks off
BROKEN = (0.6, 0.85, 0.95)  # by how many of the losses that are there are NaN: one may have been skipped
ONCE_BROKEN = "The loss was NaN or infinite in the one line that shows it: the weights may be of no use."
MAY_RECOVER = "The loss was NaN or infinite where the log breaks off; nothing shows whether it stayed so."
MAY_FALL = "The loss had grown where the log breaks off; nothing shows whether it fell again."


def useless(training: Training, *, is_whole: bool) -> Failure | None:
    """A training that ran to no good. Not `is_whole`: the log may go on, and the loss with it."""
    is_unsure = not is_whole and training.finished_at is None
    if training.broken is not None:
        confidence = BROKEN[min(training.broken_losses, len(BROKEN)) - 1] * (UNSURE if is_unsure else 1)
        message = MAY_RECOVER if is_unsure else ONCE_BROKEN if training.broken_losses == 1 else None
        return failure(Reason.NAN_LOSS, training.broken, confidence=confidence, message=message)
    if training.diverged is not None:
        confidence = RAN_AWAY * (UNSURE if is_unsure else 1)
        return failure(
            Reason.DIVERGING, training.diverged, confidence=confidence, message=MAY_FALL if is_unsure else None
        )
    return None
