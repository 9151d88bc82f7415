"""The classifier: what Hugging Face said of a job, its exit code and its log become one cause.

In this order: what Hugging Face says outranks the log; the first thing in the log that ended the program outranks what
followed from it; the exit code speaks where the log is silent. A job that exited with 0 is looked at too: its loss may
be NaN, it may have diverged, or its model may not have been published.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.domain.diagnosis import status
from service.domain.diagnosis.clues import ROOM, Clue, find
from service.domain.diagnosis.failure import Failure, failure
from service.domain.diagnosis.lines import Line, read
from service.domain.diagnosis.retry import Retry
from service.domain.diagnosis.signature import Weight
from service.domain.diagnosis.training import Training, watch
from service.domain.run import Reason

CONFIDENCE = {Weight.NAMES: 0.95, Weight.POINTS: 0.85, Weight.HINTS: 0.7}
# an exception that no signature knows: raised by the script's own lines, by a library, or only its last line is there
OWN_EXCEPTION, FOREIGN_EXCEPTION, BARE_EXCEPTION = 0.8, 0.4, 0.4
FEW_LINES = 12  # what may follow the line that tells why, in a log that ends there
DOUBTFUL = 0.75  # how much less a clue counts that may have been survived, or tells of another process

ANSWERS = frozenset({Reason.HUB_AUTH, Reason.HUB_FORBIDDEN, Reason.HUB_UNAVAILABLE})
HUB_CAUSES = ANSWERS | {Reason.MODEL_NOT_FOUND, Reason.GATED_MODEL, Reason.NO_CREDITS}
PUBLISHING = re.compile(
    r"push_to_hub|upload_folder|upload_file|upload_large_folder|create_commit|preupload|/commit/|lfs/objects"
    r"|xet-write-token|upload_xorb|validate-yaml"
    r"|push_in_progress|on_push_begin|UploadPart|create_repo|api/repos/create|hf upload|hf_api\.py.*upload"
    r"|huggingface_hub/(?:lfs|_commit_api)\.py|Error while uploading|create_pr=1",
    re.IGNORECASE,
)
# functions and addresses that publish: whatever is raised there after training, it is the publication that failed
PUSHING = re.compile(
    r", in (?:push_to_hub|\w*upload\w*|create_commit|create_repo|_push\w*)\b|/api/repos/create|/preupload/|/commit/"
)
READING = re.compile(
    r"from_pretrained|load_dataset|hf_hub_download|snapshot_download|/resolve/|cached_file", re.IGNORECASE
)
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
        return failure(said[0], said[1], confidence=0.98)
    stage = (seen.stage or "").upper()
    if stage == "DELETED":
        return failure(Reason.JOB_VANISHED, seen.status_message, confidence=0.9)
    if status.is_cancelled(stage, seen.cancel_reason):  # its exit code, and a signal in its log, are the cancel's
        told = seen.status_message or (f"stage: {stage}" if stage else f"cancelReason: {seen.cancel_reason}")
        return failure(Reason.CANCELLED_OUTSIDE, told, confidence=0.9)
    code = seen.exit_code if seen.exit_code is not None else status.exit_code(seen.status_message)
    code = None if code == 0 and stage == "ERROR" else code  # the stage decides
    lines = read(seen.lines)
    training = watch(lines)
    clues = find(lines)
    if code == 0 or (code is None and stage == "COMPLETED"):
        return _ended_well(training, clues, 0.9)
    decisive = _decisive(clues, training)
    if code is None and stage != "ERROR":
        if decisive is None or decisive.was_caught or not _ends_there(decisive, lines, training):
            return _ended_well(training, [], 0.5)
        return _as_failure(decisive, training)
    if decisive is not None and not (
        _is_doubtful(decisive, training) and status.as_shells_say(code) in status.EXIT_CODES
    ):
        return _as_failure(decisive, training)
    return _silent(code, seen.status_message, lines, training, decisive)


def _ended_well(training: Training, clues: Sequence[Clue], confidence: float) -> Failure:
    """A log of a program that exited with 0, or did not say."""
    if training.broken is not None:
        return failure(Reason.NAN_LOSS, training.broken, confidence=0.95)
    if training.diverged is not None:
        return failure(Reason.DIVERGING, training.diverged, confidence=0.85)
    if training.finished_at is not None:
        for clue in reversed(clues):
            is_after = clue.at > max(training.finished_at, training.published_at or -1)
            is_push = PUBLISHING.search(clue.text or clue.around) is not None and _is_publication(clue, training)
            if is_after and is_push and not clue.was_caught and clue.weight > Weight.HINTS:
                return failure(Reason.PUSH_FAILED, clue.evidence, confidence=0.6)
    return failure(Reason.OK, confidence=confidence)


def _decisive(clues: Sequence[Clue], training: Training) -> Clue | None:
    """The first thing that ended the program. Where nothing certainly did, the clue that says most."""
    last = next((clue for clue in reversed(clues) if clue.chain is not None and _is_sure(clue, training)), None)
    if last is not None:  # what a program that ended so had only quoted, or got over, ended nothing
        clues = [clue for clue in clues if not clue.was_quoted and not _was_survived(clue, last, training)]
    sure = next((clue for clue in clues if _is_sure(clue, training)), None)
    if sure is not None:
        return sure
    rest = [clue for clue in clues if not clue.was_caught and not clue.is_consequence] or [
        clue for clue in clues if not clue.was_caught
    ]
    return max(rest, key=lambda clue: (_strength(clue, training), -clue.at), default=None) or (
        clues[-1] if clues and clues[-1].ended else None
    )


def _was_survived(clue: Clue, last: Clue, training: Training) -> bool:
    """Whether training went on after it, up to the traceback that ended it: in the same process, as far as is told."""
    assert last.chain is not None
    is_another = clue.stream not in ("", last.chain[0].stream)
    return not is_another and training.goes_on_between(clue.head, last.at)


def _is_sure(clue: Clue, training: Training) -> bool:
    if clue.was_caught or clue.is_consequence or training.goes_on_after(clue.at):
        return False
    return clue.ended if clue.chain is not None else clue.weight is Weight.NAMES


def _strength(clue: Clue, training: Training) -> float:
    went_on = training.goes_on_after(clue.at)
    return clue.weight - (1.5 if went_on else 0) - (0.5 if clue.signature is None else 0)


def _is_doubtful(clue: Clue, training: Training) -> bool:
    """It may have been survived: then an exit code that speaks for itself is worth more."""
    return clue.was_caught or training.goes_on_after(clue.at) or (clue.is_consequence and clue.weight < Weight.POINTS)


def _ends_there(clue: Clue, lines: Sequence[Line], training: Training) -> bool:
    """Without an exit code: whether the log ends about where the clue is, and does not go on as if nothing had been."""
    if training.published_at is not None and training.published_at > clue.at:
        return False
    is_last = sum(bool(line.text) for line in lines[clue.end + 1 :]) <= FEW_LINES
    return (clue.ended or is_last or clue.weight > Weight.HINTS) and not training.goes_on_after(clue.at)


def _as_failure(clue: Clue, training: Training) -> Failure:
    confidence = CONFIDENCE[clue.weight]
    if clue.signature is None:
        confidence = _of_unknown(clue)
    if _is_doubtful(clue, training):
        confidence *= DOUBTFUL
    if _is_publication(clue, training):
        retry = Retry.SAME if clue.cause is Reason.HUB_UNAVAILABLE else None
        return failure(Reason.PUSH_FAILED, clue.evidence, confidence=max(confidence, 0.85), retry=retry)
    remedy = clue.signature.remedy if clue.signature is not None else None
    if remedy is not None and "{what}" in remedy:
        remedy = remedy.replace("{what}", clue.what) if clue.what else None
    retry = clue.signature.retry if clue.signature is not None else None
    return failure(clue.cause, clue.evidence, confidence=confidence, remedy=remedy, retry=retry)


def _of_unknown(clue: Clue) -> float:
    if clue.chain is None or not clue.ended:
        return BARE_EXCEPTION
    return OWN_EXCEPTION if clue.chain[-1].is_own else FOREIGN_EXCEPTION


def _is_publication(clue: Clue, training: Training) -> bool:
    """Whether it is the model's publication that failed: after training, or at a checkpoint while it went on."""
    text = clue.text or clue.around
    is_push = PUBLISHING.search(text) is not None
    has_finished = training.finished_at is not None
    if clue.cause in HUB_CAUSES:
        if has_finished and clue.cause in ANSWERS:
            return is_push or READING.search(text) is None
        return is_push and (has_finished or (training.begun_at is not None and training.begun_at < clue.at))
    is_below_push = (clue.signature is None and is_push) or PUSHING.search(text) is not None
    return has_finished and is_below_push and clue.cause not in ROOM


def _silent(
    code: int | None, message: str | None, lines: Sequence[Line], training: Training, clue: Clue | None
) -> Failure:
    """The log does not say why."""
    if training.broken is not None:
        return failure(Reason.NAN_LOSS, training.broken, confidence=0.7)
    if (signal := status.as_shells_say(code)) in status.EXIT_CODES:
        cause, confidence, words = status.EXIT_CODES[signal]
        return failure(cause, words, confidence=confidence)
    if clue is not None:
        return _as_failure(clue, training)
    last = next((line.text for line in reversed(lines) if line.text.strip()), "")
    logged = next((line.text for line in reversed(lines) if LEVEL.search(line.text)), last)
    if COMPLAINT.search(logged):
        return failure(Reason.SCRIPT_ERROR, logged, confidence=0.35)
    return failure(Reason.UNKNOWN, message or last or None, confidence=0.3)
