"""How a log ends: with a traceback, or with words of a program that has done its work."""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.domain.diagnosis.causes import HEADLINE, below
from service.domain.diagnosis.clues import AFTERMATH, Clue
from service.domain.diagnosis.lines import Line
from service.domain.diagnosis.signature import Weight

DONE = re.compile(
    r"\b(?:done|finished|completed?|saved|success(?:ful(?:ly)?)?|uploaded|pushed|bye)\b|train_runtime"
    r"|exit(?:ed with)? code:? 0\b",
    re.IGNORECASE,
)
NOT_DONE = re.compile(
    r"error|exception|fail|cannot|could ?n[o']t|unable|not |n't\b|\bno\b|before|without|until|abort", re.IGNORECASE
)
# `Push failed: …`, `could not upload the model: …`; retries and what trackers upload aside.
PUSH_FAILED = re.compile(
    r"\b(?:fail\w*|could ?n[o']t|unable|cannot|error)\b.{0,50}\b(?:push|upload|publish)"
    r"|\b(?:push|upload|publish)\w*(?: \S+){0,4} (?:fail|was (?:denied|refused|rejected)|not possible)",
    re.IGNORECASE,
)
NO_PUSH = re.compile(
    r"retry|trying again|attempt \d|wandb|trackio|tensorboard|mlflow|metric|telemetry|log(?:s|file)?\b", re.IGNORECASE
)
LAST_LINES = 8
FEW_LINES = 12  # what may follow the line that tells why, in a log that ends there
# A shell's last words: the command is not there, or what ran was ended.
SHELL = re.compile(
    r"^(?:\S+: )?(?:line \d+: +)?(?:(?:exec: )?\S+: (?:command )?not found$"
    r"|(?:\d+ )?(?:Killed|Aborted|Segmentation fault|Bus error)\b)"
)
NOTE = re.compile(r"^\s*(?:hint|help|note|info):")
# What no text has: bytes that were no UTF-8 and controls, colours aside.
NO_TEXT = re.compile(r"[\x00-\x06\x0e-\x1a\ufffd]")
LOOKED_AT, MOST_NO_TEXT = 4_000, 0.05


def is_text(rows: Sequence[str]) -> bool:
    """Whether a log is one at all, by its end."""
    end = "\n".join(rows[-LOOKED_AT:])[-LOOKED_AT:]
    return len(NO_TEXT.findall(end)) <= MOST_NO_TEXT * len(end)


def failed_pushes(lines: Sequence[Line], after: int) -> list[int]:
    """Where a program says that it could not push, and goes on."""
    return [
        at
        for at in range(after + 1, len(lines))
        if PUSH_FAILED.search(lines[at].text) and not NO_PUSH.search(lines[at].text)
    ]


def is_good(lines: Sequence[Line]) -> bool:
    """Whether one of the last lines says that all is done."""
    texts = [line.text for line in lines if line.text.strip()]
    return any(_is_done(text) for text in texts[-LAST_LINES:])


def is_the_end(clue: Clue, lines: Sequence[Line]) -> bool:
    """Whether nothing comes after a traceback but what launchers and trackers print. What follows its exception's line
    may be its message, unless it says that all is done."""
    if any(_is_done(line.text) for line in lines[clue.head + 1 :]):
        return False
    return all(AFTERMATH.search(line.text) for line in lines[clue.end + 1 :])


def is_followed_by_good_news(clue: Clue, lines: Sequence[Line]) -> bool:
    """Whether the program says later that it has done its work. The Trainer's own summary may only be printed late."""
    return any(_is_done(line.text) and "train_runtime" not in line.text for line in lines[clue.head + 1 :])


def is_near_the_end(clue: Clue, lines: Sequence[Line]) -> bool:
    """Whether a log ends soon after it: launchers and shells have their own last words."""
    return sum(bool(line.text) for line in lines[clue.end + 1 :]) <= FEW_LINES


def is_refusal(clue: Clue, lines: Sequence[Line]) -> bool:
    """Whether it is a command's last word, which an installer or a shell says before a script runs."""
    rest = [line.text for line in lines[clue.at + 1 + len(below(lines, clue.at)) :]]
    is_last = all(not text.strip() or AFTERMATH.search(text) or NOTE.match(text) for text in rest)
    is_said = HEADLINE.match(lines[clue.at].text) is not None or SHELL.match(lines[clue.at].text) is not None
    return is_last and is_said and clue.weight > Weight.HINTS and not clue.was_caught and not clue.was_quoted


def _is_done(text: str) -> bool:
    return DONE.search(text) is not None and NOT_DONE.search(text) is None and AFTERMATH.search(text) is None
