"""A diagnosis, as the run object and `tunegate diagnose` show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.domain.diagnosis.advice import ADVICE
from service.domain.diagnosis.retry import Retry
from service.domain.run import Reason

LONGEST_EVIDENCE = 500


@dataclass(frozen=True)
class Failure:
    """One cause, the line that shows it and what to do. `confidence`, from 0 to 1, is how often a diagnosis of this
    kind is expected to be right: about 0.95 where the wording names the cause, 0.9 where it points to it, 0.8 where
    only who raised it speaks, 0.7 and less where it is an exit code, or may have been survived, 0.4 and less where
    nothing known is left."""

    cause: Reason
    message: str
    evidence: str | None
    remedy: str
    retry: Retry
    confidence: float = 1.0

    @property
    def retryable(self) -> bool:
        """Whether the same run, unchanged, may well succeed."""
        return self.retry is Retry.SAME

    def as_json(self) -> dict[str, Any]:
        """The `failure` member of the run object."""
        return {
            "cause": self.cause.value,
            "message": self.message,
            "evidence": self.evidence,
            "remedy": self.remedy,
            "retryable": self.retryable,
            "retry": self.retry.value,
            "confidence": self.confidence,
        }


def failure(
    cause: Reason,
    evidence: str | None = None,
    *,
    confidence: float = 1.0,
    message: str | None = None,
    remedy: str | None = None,
    retry: Retry | None = None,
) -> Failure:
    """A cause with its sentences, or better ones; `evidence` is clipped to what fits a page."""
    advice = ADVICE[cause]
    return Failure(
        cause,
        message or advice.message,
        evidence.strip()[:LONGEST_EVIDENCE] or None if evidence else None,
        remedy or advice.remedy,
        retry or advice.retry,
        round(confidence, 2),
    )
