"""Why a job failed: one cause, the line that shows it, what to do about it, and whether a retry makes sense.

Read in this order: `signatures` (what is known, as data), `lines` and `tracebacks` (how a log is read), `training` (how
it went), `clues` (what was found), `status` (what Hugging Face says), `ending` (how the log ends), `decisive`,
`publication`, `useless` (three questions), `classify` (the decision), `advice` (the words).
"""

from __future__ import annotations

from service.domain.diagnosis.advice import ADVICE
from service.domain.diagnosis.classify import Seen, diagnose
from service.domain.diagnosis.failure import Failure, failure
from service.domain.diagnosis.retry import Retry
from service.domain.diagnosis.signatures import SIGNATURES
from service.domain.diagnosis.status import CANCEL_REASONS

__all__ = ["ADVICE", "CANCEL_REASONS", "SIGNATURES", "Failure", "Retry", "Seen", "diagnose", "failure"]
