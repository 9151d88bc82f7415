"""One cause for each failure."""

from __future__ import annotations

import pytest

from service.domain.diagnosis import ADVICE, CANCEL_REASONS, SIGNATURES, diagnose
from service.domain.run import Reason


def test_every_cause_that_can_be_given_has_its_sentences() -> None:
    for cause in {signature.cause for signature in SIGNATURES} | set(CANCEL_REASONS.values()):
        assert ADVICE[cause]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB.", Reason.CUDA_OOM),
        ("NameError: name 'los' is not defined", Reason.SCRIPT_ERROR),
        ("my.module.CustomError: boom", Reason.SCRIPT_ERROR),
        ("ModuleNotFoundError: No module named 'trl'", Reason.MISSING_DEPENDENCY),
        ("sft.py: error: argument --learning_rate: invalid float value: 'abc'", Reason.BAD_ARGUMENT),
        ("OSError: You are trying to access a gated repo.", Reason.GATED_MODEL),
        (
            "OSError: acme/none is not a local folder and is not a valid model identifier listed on",
            Reason.MODEL_NOT_FOUND,
        ),
        ("datasets.exceptions.DatasetNotFoundError: Dataset 'acme/nodata' doesn't exist", Reason.DATASET_NOT_FOUND),
        ("OSError: [Errno 28] No space left on device", Reason.DISK_FULL),
        ("huggingface_hub.errors.HfHubHTTPError: Client error '401 Unauthorized' for url", Reason.HUB_AUTH),
    ],
)
def test_a_line_gives_the_cause_away(line: str, cause: Reason) -> None:
    found = diagnose("Job failed with exit code: 1. Reason: Error.", None, ["Traceback (most recent call last):", line])
    assert found.cause is cause
    assert found.evidence == line


def test_what_hugging_face_says_outranks_the_log() -> None:
    lines = ["ValueError: something"]
    assert diagnose("Job timeout", None, lines).cause is Reason.JOB_TIMEOUT
    assert diagnose(None, "NO_CREDITS", lines).cause is Reason.NO_CREDITS
    assert diagnose("Job failed with exit code: 137. Reason: OOMKilled", None, lines).cause is Reason.HOST_OOM


def test_after_training_a_hub_error_is_a_failed_push() -> None:
    lines = ["{'train_runtime': '0.65', 'train_loss': '6.0'}", "Client error '403 Forbidden' for url"]
    assert diagnose(None, None, lines).cause is Reason.PUSH_FAILED
    assert diagnose(None, None, lines[1:]).cause is Reason.HUB_FORBIDDEN


def test_a_log_that_says_nothing_is_unknown() -> None:
    found = diagnose("Job failed with exit code: 3. Reason: Error.", None, [])
    assert found.cause is Reason.UNKNOWN
    assert found.evidence == "Job failed with exit code: 3. Reason: Error."
