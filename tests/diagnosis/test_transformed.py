"""Logs of the corpus, with what their program got over or only printed before its end: the cause stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.diagnosis import Failure, diagnose
from tests.diagnosis.cases import Case, cases

TOP = ["Traceback (most recent call last):", '  File "/app/loop.py", line 31, in <module>', "    train(batch)"]
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB."
CAUGHT = {
    "printed": [*TOP, OOM],
    "told": ["caught: CUDA out of memory. Tried to allocate 1.96 GiB."],
    "logged": ["ERROR:root:a batch is skipped", *TOP, OOM],
    "disk": [*TOP, "OSError: [Errno 28] No space left on device"],
}
STEPS = {
    "own": "step {0} loss 2.{0:02}",
    "trainer": "{{'loss': 2.{0:02}, 'grad_norm': 1.0, 'epoch': 0.{0:02}}}",
    "epochs": "Train Epoch: 1 [{0}40/60000 (1%)]\tLoss: 2.3",
    "level": "[INFO] iter {0}: 2.3",
    "json": '{{"step": {0}, "train": 2.3}}',
    "bar": " {0}%|#   | {0}/100 [00:01<00:09, 1.0it/s]",
}
ROWS = [
    ['{"text": "My training dies with CUDA out of memory"}'],
    ["0   How do I mend No space left on device?   forum", "1   RuntimeError: CUDA out of memory   forum"],
    ["- CUDA out of memory: lower the batch size"],
    ["Decoded: torch.OutOfMemoryError: CUDA out of memory"],
    ["Example 3: OSError: [Errno 28] No space left on device"],
    ["  {'role': 'user', 'content': 'RuntimeError: CUDA out of memory. Tried to'},"],
]
# the rest tells only of other processes' ends, or mixes its prefixes with lines that have none
LEAST = 0.95


def ended_by_a_traceback() -> list[tuple[Case, Failure]]:
    """Those that are sure, and have nothing but their log to go by."""
    found = ((case, case.diagnose()) for case in cases() if "Traceback (most" in "\n".join(case.seen.lines))
    return [
        (case, told)
        for case, told in found
        if case.is_right(told) and told.confidence >= 0.75 and case.seen.exit_code and not case.seen.stage
    ]


ENDED = ended_by_a_traceback()


def share_that_stays(before: list[str], every: int = 1) -> float:
    stays = [
        # a training that had begun makes a failed push of the Hub's refusal
        diagnose(replace(case.seen, lines=[*before, *case.seen.lines])).cause in (told.cause, "push_failed")
        for case, told in ENDED[::every]
    ]
    return sum(stays) / len(stays)


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("caught", CAUGHT)
def test_what_training_went_on_after_changes_no_cause(caught: str, kind: str) -> None:
    steps = [STEPS[kind].format(count) for count in range(1, 14)]
    assert len(ENDED) > 400
    assert share_that_stays([*steps[:3], *CAUGHT[caught], *steps[3:]], every=9) >= LEAST


@pytest.mark.parametrize("rows", ROWS)
def test_rows_that_are_printed_change_no_cause(rows: list[str]) -> None:
    assert share_that_stays(["Loading", *rows, "Training"], every=5) >= LEAST
