"""Whether what failed is the publication of a model, not its training."""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.domain.diagnosis import ending
from service.domain.diagnosis.clues import ROOM, VAGUE, Clue
from service.domain.diagnosis.lines import Line
from service.domain.diagnosis.signature import Weight
from service.domain.diagnosis.training import Training
from service.domain.run import Reason

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
STATUS = re.compile(r"\b[45]\d\d\b")
ONE_ANSWER = 8  # lines that an answer of Hugging Face is printed over, at most


def is_publication(clue: Clue, training: Training) -> bool:
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


def refused_push(lines: Sequence[Line], training: Training, clues: Sequence[Clue]) -> str | None:
    """What a program printed of its last push, which failed, before it ended well; None where none did."""
    if training.finished_at is None:
        return None
    after = max(training.finished_at, training.published_at or -1)
    found: list[tuple[int, str]] = [(at, lines[at].text) for at in ending.failed_pushes(lines, after)]
    for clue in clues:
        is_push = PUBLISHING.search(clue.text or clue.around) is not None and is_publication(clue, training)
        if clue.at > after and is_push and not clue.was_caught and clue.weight > Weight.HINTS:
            found.append((clue.head, clue.evidence))
    found.sort()
    last = [text for at, text in found if found[-1][0] - at <= ONE_ANSWER]
    plain = [text for text in last if VAGUE.search(text) is None] or last
    return next((text for text in plain if STATUS.search(text)), plain[0]) if plain else None
