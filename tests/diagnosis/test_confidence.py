"""What is stated is about what was measured, and who says more is believed more."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from service.domain.diagnosis import classify, useless
from service.domain.diagnosis.signature import Weight
from service.domain.diagnosis.status import EXIT_CODES

FIRST = tomllib.loads((Path(__file__).parent / "first_tries.toml").read_text())
STATED = {
    "names": classify.CONFIDENCE[Weight.NAMES],
    "said": classify.SAID,
    "points": classify.CONFIDENCE[Weight.POINTS],
    "well": classify.WELL,
    "hints": classify.CONFIDENCE[Weight.HINTS],
    "own": classify.OWN_EXCEPTION,
    "foreign": classify.FOREIGN_EXCEPTION,
    "little": (classify.COMPLAINED + classify.NOTHING) / 2,
}


@pytest.mark.parametrize("kind", FIRST)
def test_what_is_stated_is_about_the_share_that_was_right(kind: str) -> None:
    assert FIRST[kind]["right"] / FIRST[kind]["total"] == pytest.approx(STATED[kind], abs=0.1)


def test_who_says_more_is_believed_more() -> None:
    assert set(STATED) == set(FIRST)
    assert list(STATED.values()) == sorted(STATED.values(), reverse=True)
    assert classify.CONFIDENCE[Weight.NAMES] > classify.CONFIDENCE[Weight.POINTS] > classify.CONFIDENCE[Weight.HINTS]
    assert classify.WELL > classify.LOOKS_WELL >= classify.SURVIVED_OK > classify.FOREIGN_EXCEPTION
    assert list(useless.BROKEN) == sorted(useless.BROKEN)
    assert all(confidence < classify.OWN_EXCEPTION for _, confidence, _ in EXIT_CODES.values())
