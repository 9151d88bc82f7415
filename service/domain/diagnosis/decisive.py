"""Which of a log's clues ended the program."""

from __future__ import annotations

from collections.abc import Sequence

from service.domain.diagnosis.clues import Clue
from service.domain.diagnosis.ending import is_near_the_end, is_the_end
from service.domain.diagnosis.lines import Line
from service.domain.diagnosis.signature import Weight
from service.domain.diagnosis.training import Training


def decide(clues: Sequence[Clue], training: Training, lines: Sequence[Line]) -> Clue | None:
    """The first thing that ended the program. Where nothing certainly did, the clue that says most."""
    last = next((clue for clue in reversed(clues) if _is_an_end(clue, training, lines)), None)
    if last is not None:  # what a program that ended so had only quoted, or got over, ended nothing
        told = [clue for clue in clues if not clue.was_quoted and not clue.is_in_passing]
        clues = [clue for clue in told if not _was_survived(clue, last, training)]
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
    """Whether training went on after it, up to what ended it: in the same process, as far as is told."""
    is_another = clue.stream not in ("", last.stream)
    return not is_another and training.goes_on_between(clue.head, last.at)


def _is_an_end(clue: Clue, training: Training, lines: Sequence[Line]) -> bool:
    """Whether a program ended with it: by its whole traceback, or because it is what the log ends with."""
    if clue.was_caught or clue.was_quoted or clue.is_in_passing or clue.is_consequence:
        return False
    if training.goes_on_after(clue.at):
        return False
    if clue.chain is not None:
        return clue.ended or is_the_end(clue, lines)
    return clue.weight > Weight.HINTS and is_near_the_end(clue, lines)


def _is_sure(clue: Clue, training: Training) -> bool:
    if clue.was_caught or clue.is_consequence or training.goes_on_after(clue.at):
        return False
    return clue.ended if clue.chain is not None else clue.weight is Weight.NAMES


def _strength(clue: Clue, training: Training) -> float:
    went_on = training.goes_on_after(clue.at)
    return clue.weight - (1.5 if went_on else 0) - (0.5 if clue.signature is None else 0)


def is_doubtful(clue: Clue, training: Training) -> bool:
    """It may have been survived: then an exit code that speaks for itself is worth more."""
    return clue.was_caught or training.goes_on_after(clue.at) or (clue.is_consequence and clue.weight < Weight.POINTS)
