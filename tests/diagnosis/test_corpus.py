"""Every case of the corpus is diagnosed right, and every signature is there because of one."""

from __future__ import annotations

import pytest

from service.domain.diagnosis import ADVICE, SIGNATURES
from service.domain.diagnosis.clues import find
from service.domain.diagnosis.lines import COLOUR, read
from service.domain.run import Reason
from tests.diagnosis.cases import Case, cases

CASES = [case for case in cases() if not case.is_blind]
BLIND = [case for case in cases() if case.is_blind]
LEAST_BLIND = 0.9  # 55 of 60 when they were first tried
# Found out by asking Hugging Face or the caller, not from a log; or never a failure.
NOT_IN_LOGS = {Reason.OUTPUT_MISSING, Reason.SECRETS_LOST}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_case_is_diagnosed_right(case: Case) -> None:
    found = case.diagnose()
    assert case.is_right(found), f"{found.cause} ({found.retry}) by {found.evidence!r}, but {case.causes} {case.retry}"
    assert 0 < found.confidence <= 1
    assert found.cause in (Reason.OK, Reason.UNKNOWN, Reason.JOB_VANISHED) or found.evidence


def test_a_lot_that_nothing_was_mended_by_does_not_get_worse() -> None:
    right = sum(case.is_right(case.diagnose()) for case in BLIND)
    assert len(BLIND) >= 60
    assert right >= LEAST_BLIND * len(BLIND)


def test_the_evidence_is_a_line_of_the_log_and_the_one_that_a_person_would_point_at() -> None:
    for case in CASES:
        evidence = case.diagnose().evidence
        assert case.shows is None or case.shows in (evidence or ""), (case.name, evidence)
        if evidence and not evidence.startswith(("exit code", "cancelReason", "stage: ")):
            said = "\n".join(COLOUR.sub("", line) for line in case.seen.lines) + (case.seen.status_message or "")
            assert evidence[:150] in said, case.name


def test_the_corpus_is_large_has_sources_and_a_third_of_it_is_held_out() -> None:
    assert len(CASES) >= 150
    assert 3 * sum(case.is_held_out for case in CASES) >= len(CASES)
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(case.source and case.causes for case in CASES)


def test_every_signature_has_a_source_and_a_case() -> None:
    used = {id(clue.signature) for case in CASES for clue in find(read(case.seen.lines))}
    for signature in SIGNATURES:
        assert signature.source
        assert id(signature) in used, f"no case for {signature.cause}: {signature.source}"


def test_no_signature_matches_just_anything() -> None:
    ordinary = ("", "x", "Downloading torch (846.8MiB)", "{'loss': 1.2, 'epoch': 0.1}", "Hello world", "step 10: done")
    for signature in SIGNATURES:
        for text in ordinary:
            assert not signature.pattern.search(text), (signature.cause, signature.source)


def test_every_cause_has_its_words_and_a_case() -> None:
    expected = {cause for case in CASES for cause in case.causes}
    for cause, advice in ADVICE.items():
        assert advice.message.endswith(".")
        assert advice.remedy.endswith(".")
        assert cause in NOT_IN_LOGS or cause.value in expected, f"no case for {cause}"
    assert {signature.cause for signature in SIGNATURES} <= set(ADVICE)


def test_a_remedy_with_a_gap_has_something_to_fill_it() -> None:
    for signature in SIGNATURES:
        if signature.remedy is not None and "{what}" in signature.remedy:
            names = set(signature.pattern.compiled.groupindex) | set(
                signature.detail.compiled.groupindex if signature.detail else ()
            )
            assert "what" in names, signature.source
