"""What came of one check: it passed, it failed with the cause, the field and the remedy, or nobody knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from service.domain.diagnosis import ADVICE, Failure, Retry
from service.domain.run import Reason


class Verdict(StrEnum):
    """What came of one check."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One check. A failed one names the cause with which the run ends, and where and how it is mended."""

    check: str
    verdict: Verdict
    message: str
    reason: Reason | None = None
    field: str | None = None
    remedy: str | None = None

    def as_json(self) -> dict[str, Any]:
        """An item of `preflight.checks`."""
        return {
            "check": self.check,
            "outcome": self.verdict.value,
            "message": self.message,
            "field": self.field,
            "remedy": self.remedy,
        }

    def as_failure(self) -> Failure:
        """How a run fails by it."""
        assert self.reason is not None
        evidence = f"preflight: {self.check} ({self.field})"
        # as the log's diagnosis of the same cause says; what only preflight fails by can be mended in the request
        retry = ADVICE[self.reason].retry if self.reason in ADVICE else Retry.CHANGED
        return Failure(self.reason, self.message, evidence, self.remedy or "", retry)


def passed(check: str, message: str) -> Finding:
    """A check that found nothing wrong."""
    return Finding(check, Verdict.PASSED, message)


def unknown(check: str, message: str) -> Finding:
    """A check that could not be done."""
    return Finding(check, Verdict.UNKNOWN, message or "the Hub did not say")


def failed(check: str, message: str, reason: Reason, field: str, remedy: str) -> Finding:
    """A check by which the run fails."""
    return Finding(check, Verdict.FAILED, message, reason, field, remedy)


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """All together: one that failed fails, one that is unknown leaves it unknown."""
    verdicts = {finding.verdict for finding in findings}
    for verdict in (Verdict.FAILED, Verdict.UNKNOWN):
        if verdict in verdicts:
            return verdict
    return Verdict.PASSED


def nearest(name: str, known: Sequence[str]) -> str | None:
    """A question for the remedy: did they mean this one."""
    close = get_close_matches(name, known, n=1)
    return f"Did you mean '{close[0]}'?" if close else None


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names for a message, not more than anybody reads."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
