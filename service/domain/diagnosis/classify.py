"""The classifier: what Hugging Face said of a job, its exit code and its log become one cause.

In this order: what Hugging Face says outranks the log; the first thing in the log that ended the program outranks what
followed from it; the exit code speaks where the log is silent. A job that exited with 0 is looked at too: its loss may
be NaN, it may have diverged, its model may not have been published, or the exit code may be another program's. Where
nothing shows how it ended, nothing is claimed (`unknown`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.domain.diagnosis import ending, status
from service.domain.diagnosis.clues import Clue, find
from service.domain.diagnosis.decisive import decide, is_doubtful
from service.domain.diagnosis.failure import Failure, failure
from service.domain.diagnosis.lines import Line, read
from service.domain.diagnosis.publication import is_publication, refused_push
from service.domain.diagnosis.retry import Retry
from service.domain.diagnosis.signature import Weight
from service.domain.diagnosis.training import Training, watch
from service.domain.diagnosis.useless import useless
from service.domain.run import Reason

# Each is about the share of diagnoses of its kind that were right when a lot of failures was first tried
# (tests/diagnosis/first_tries.toml).
CONFIDENCE = {Weight.NAMES: 0.95, Weight.POINTS: 0.9, Weight.HINTS: 0.8}
SAID = 0.95  # by Hugging Face's own words
GONE = 0.9  # by the stage alone: deleted, or cancelled
# an exception that no signature knows: raised by the script's own lines, by a library, or only its last line is there
OWN_EXCEPTION, FOREIGN_EXCEPTION, BARE_EXCEPTION = 0.8, 0.4, 0.4
COMPLAINED, NOTHING = 0.35, 0.3  # a last line that complains, or not even that
# it exited with 0: a log that agrees, that is empty, or that shows a traceback on the way; one that looks so by itself
WELL, SILENT_OK, SURVIVED_OK, LOOKS_WELL = 0.9, 0.7, 0.7, 0.7
OTHERS_CODE = 0.75  # how much less a traceback at the end counts where the exit code was 0
UPLOAD_AGAIN = "Hugging Face failed while the model was uploaded, not the run: submit again."
NO_END = "Nothing shows whether the job failed, or that it ended well."
TELL_MORE = "Give its exit code or its stage as well, or the rest of its log."
DOUBTFUL = 0.75  # how much less a clue counts that may have been survived, or tells of another process

LEVEL = re.compile(r"^(?!wandb).*\b(?:ERROR|CRITICAL|FATAL)\b")
COMPLAINT = re.compile(r"error|fail|exception|fatal|invalid|missing|must|abort|cannot|unable|not found", re.IGNORECASE)


@dataclass(frozen=True)
class Seen:
    """What is known of a job: the last lines of its log, its exit code, Hugging Face's status message, its raw
    `cancelReason` and its stage (SCHEDULING RUNNING COMPLETED CANCELED ERROR DELETED)."""

    lines: Iterable[str] = ()
    exit_code: int | None = None
    status_message: str | None = None
    cancel_reason: str | None = None
    stage: str | None = None


def diagnose(seen: Seen) -> Failure:
    """One cause, `ok` where nothing failed. Never raises, whatever the log holds."""
    said = status.said(seen.status_message, seen.cancel_reason)
    if said is not None:
        return failure(said[0], said[1], confidence=SAID)
    stage = (seen.stage or "").strip().upper()
    if stage == "DELETED":
        return failure(Reason.JOB_VANISHED, seen.status_message or "stage: DELETED", confidence=GONE)
    if status.is_cancelled(stage, seen.cancel_reason):  # its exit code, and a signal in its log, are the cancel's
        told = seen.status_message or (f"stage: {stage}" if stage else f"cancelReason: {seen.cancel_reason}")
        return failure(Reason.CANCELLED_OUTSIDE, told, confidence=GONE)
    code = seen.exit_code if seen.exit_code is not None else status.exit_code(seen.status_message)
    code = None if code == 0 and stage == "ERROR" else code  # the stage decides
    rows = list(seen.lines)
    lines, is_text = read(rows), ending.is_text(rows)
    training = watch(lines)
    clues = find(lines)
    if code == 0 or (code is None and stage == "COMPLETED"):
        return _ended_well(lines if is_text else (), training, clues)
    decisive = decide(clues, training, lines)
    if code is None and stage != "ERROR":
        if decisive is None or decisive.was_caught or not _ends_there(decisive, lines, training):
            return _ended_somehow(lines if is_text else (), training)
        return _as_failure(decisive, training)
    is_said = status.as_shells_say(code) in status.EXIT_CODES
    if decisive is not None and not (is_said and _may_be_survived(decisive, lines, training)):
        return _as_failure(decisive, training)
    return _silent(code, seen.status_message, lines, training, decisive)


def _ended_well(lines: Sequence[Line], training: Training, clues: Sequence[Clue]) -> Failure:
    """A log of a program that exited with 0. That may have been another's exit code, as in `train.py | tee log`."""
    if (ruined := useless(training, is_whole=True)) is not None:
        return ruined
    if (refused := refused_push(lines, training, clues)) is not None:
        return failure(Reason.PUSH_FAILED, refused, confidence=0.6)
    raised = [clue for clue in clues if clue.ended and not clue.was_caught]
    decisive = decide(clues, training, lines)
    is_raised = bool(raised) and ending.is_the_end(raised[-1], lines)
    if decisive is not None and (is_raised or ending.is_refusal(decisive, lines)):
        return _as_failure(decisive, training, OTHERS_CODE)
    if not any(line.text for line in lines):
        return failure(Reason.OK, confidence=SILENT_OK)
    has_traceback = any(clue.chain is not None and not clue.was_caught for clue in clues)
    return failure(Reason.OK, confidence=SURVIVED_OK if has_traceback else WELL)


def _ended_somehow(lines: Sequence[Line], training: Training) -> Failure:
    """A log without a failure, of a program of which nothing else is known."""
    if (ruined := useless(training, is_whole=False)) is not None:
        return ruined
    if training.finished_at is not None or training.published_at is not None or ending.is_good(lines):
        return failure(Reason.OK, confidence=LOOKS_WELL)
    last = next((line.text for line in reversed(lines) if line.text.strip()), None)
    return failure(Reason.UNKNOWN, last, confidence=NOTHING, message=NO_END, remedy=TELL_MORE)


def _may_be_survived(clue: Clue, lines: Sequence[Line], training: Training) -> bool:
    return is_doubtful(clue, training) or training.goes_on_between(clue.head, len(lines))


def _ends_there(clue: Clue, lines: Sequence[Line], training: Training) -> bool:
    """Without an exit code: whether the log ends about where the clue is, and does not go on as if nothing had been."""
    was_published = training.published_at is not None and training.published_at > clue.at
    if was_published or (clue.chain is not None and ending.is_followed_by_good_news(clue, lines)):
        return False
    is_last = ending.is_near_the_end(clue, lines)
    return (clue.ended or is_last or clue.weight > Weight.HINTS) and not training.goes_on_after(clue.at)


def _as_failure(clue: Clue, training: Training, trust: float = 1.0) -> Failure:
    confidence = trust * (_of_unknown(clue) if clue.signature is None else CONFIDENCE[clue.weight])
    if is_doubtful(clue, training):
        confidence *= DOUBTFUL
    if is_publication(clue, training):
        is_theirs = clue.cause is Reason.HUB_UNAVAILABLE
        retry, remedy = (Retry.SAME, UPLOAD_AGAIN) if is_theirs else (None, None)
        return failure(Reason.PUSH_FAILED, clue.evidence, confidence=max(confidence, 0.85), remedy=remedy, retry=retry)
    remedy = clue.signature.remedy if clue.signature is not None else None
    if remedy is not None and "{what}" in remedy:
        remedy = remedy.replace("{what}", clue.what) if clue.what else None
    retry = clue.signature.retry if clue.signature is not None else None
    return failure(clue.cause, clue.evidence, confidence=confidence, remedy=remedy, retry=retry)


def _of_unknown(clue: Clue) -> float:
    if clue.chain is None or not clue.ended:
        return BARE_EXCEPTION
    return OWN_EXCEPTION if clue.chain[-1].is_own else FOREIGN_EXCEPTION


def _silent(
    code: int | None, message: str | None, lines: Sequence[Line], training: Training, clue: Clue | None
) -> Failure:
    """The log does not say why."""
    if (ruined := useless(training, is_whole=False)) is not None and ruined.cause is Reason.NAN_LOSS:
        return ruined
    if (signal := status.as_shells_say(code)) in status.EXIT_CODES:
        cause, confidence, words = status.EXIT_CODES[signal]
        return failure(cause, words, confidence=confidence)
    if clue is not None:
        return _as_failure(clue, training)
    last = next((line.text for line in reversed(lines) if line.text.strip()), "")
    logged = next((line.text for line in reversed(lines) if LEVEL.search(line.text)), last)
    if COMPLAINT.search(logged):
        return failure(Reason.SCRIPT_ERROR, logged, confidence=COMPLAINED)
    return failure(Reason.UNKNOWN, message or last or None, confidence=NOTHING)
