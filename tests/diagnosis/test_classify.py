"""Who outranks whom, and that no log can upset the classifier."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.diagnosis import Failure, Retry, Seen, diagnose, failure
from service.domain.run import Reason
from tests.diagnosis.cases import cases

OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB."
TRACEBACK = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "    main()"]
REFUSED = [*TRACEBACK, "huggingface_hub.errors.HfHubHTTPError: Client error '403 Forbidden' for url 'https://x'"]
TRAINED = "{'train_runtime': '0.65', 'train_loss': '6.0'}"


def causes(*lines: str, **said: object) -> Reason:
    return diagnose(Seen(lines, **said)).cause  # type: ignore[arg-type]


def test_what_hugging_face_says_outranks_the_log() -> None:
    lines = (*TRACEBACK, OOM)
    assert causes(*lines, status_message="Job timeout") is Reason.JOB_TIMEOUT
    assert causes(*lines, cancel_reason="NO_CREDITS") is Reason.NO_CREDITS
    assert causes(*lines, cancel_reason="NO_SUBSCRIPTION") is Reason.NO_CREDITS
    assert causes(*lines, cancel_reason="RESOURCE_GROUP_LIMIT", exit_code=0) is Reason.SPEND_LIMIT
    killed = "Job failed with exit code: 137. Reason: OOMKilled"
    assert causes("ValueError: x", status_message=killed) is Reason.HOST_OOM


@pytest.mark.parametrize("end", [".", ". Please log in.", "", "/resolve/main/config.json"])
def test_a_gated_repository_is_named_without_the_sentence_around_it(end: str) -> None:
    line = "Make sure to have access to it at https://huggingface.co/acme/tiny-1.5"
    found = diagnose(Seen([*TRACEBACK, "OSError: You are trying to access a gated repo.", line + end], 1))
    assert found.cause is Reason.GATED_MODEL
    assert "Open the page of acme/tiny-1.5," in found.remedy


def test_after_training_a_hub_error_is_a_failed_push() -> None:
    assert causes(*REFUSED, exit_code=1) is Reason.HUB_FORBIDDEN
    assert causes(TRAINED, *REFUSED, exit_code=1) is Reason.PUSH_FAILED
    # what was printed comes late where the log is not flushed
    assert causes(*REFUSED, TRAINED, exit_code=1) is Reason.PUSH_FAILED
    busy = [*TRACEBACK, "huggingface_hub.errors.HfHubHTTPError: Server error '503 Service Unavailable' for url 'x'"]
    told = diagnose(Seen([TRAINED, *busy], 1))
    assert told.retry is Retry.SAME
    assert "submit again" in told.remedy


def test_the_first_thing_that_ended_the_program_counts() -> None:
    consequence = [*TRACEBACK, "RuntimeError: NCCL error: unhandled system error, remote process exited"]
    assert causes(*consequence, *TRACEBACK, OOM, exit_code=1) is Reason.CUDA_OOM
    assert causes(*TRACEBACK, OOM, *TRACEBACK, "ValueError: x", exit_code=1) is Reason.CUDA_OOM


def test_a_program_that_went_on_was_not_ended() -> None:
    bars = [f" {n}%|#   | {n}/100 [00:01<00:09, 1.0it/s]" for n in (10, 20, 30)]
    lines = [bars[0], *TRACEBACK, OOM, *bars[1:], *TRACEBACK, "NameError: name 'x' is not defined"]
    assert causes(*lines, exit_code=1) is Reason.SCRIPT_ERROR
    assert causes(*lines[:-4], exit_code=137) is Reason.HOST_OOM


def test_a_traceback_that_a_logger_tells_of_in_passing_ended_nothing() -> None:
    lines = ["[INFO:swift] " + TRACEBACK[0], *TRACEBACK[1:], "ValueError: a bad row", "", *TRACEBACK, OOM]
    assert causes(*lines, exit_code=1) is Reason.CUDA_OOM


def test_without_an_exit_code_the_logs_end_decides() -> None:
    assert causes(*TRACEBACK, OOM) is Reason.CUDA_OOM
    assert causes(TRAINED, "done") is Reason.OK
    assert causes("hello", stage="COMPLETED") is Reason.OK
    assert causes("hello", stage="CANCELED") is Reason.CANCELLED_OUTSIDE
    assert causes("hello", stage="DELETED") is Reason.JOB_VANISHED
    assert causes("hello", stage="ERROR") is Reason.UNKNOWN


def test_a_job_in_error_is_never_well() -> None:
    assert causes(TRAINED, stage="ERROR", status_message="Job failed with exit code: 0") is Reason.UNKNOWN


@pytest.mark.parametrize(
    ("code", "cause"),
    [(137, "host_oom"), (-9, "host_oom"), (143, "job_timeout"), (127, "image_error"), (3, "unknown"), (1, "unknown")],
)
def test_an_exit_code_speaks_where_the_log_is_silent(code: int, cause: str) -> None:
    found = diagnose(Seen(["Loading weights"], code))
    assert found.cause.value == cause
    assert found.confidence <= 0.7
    message = f"Job failed with exit code: {code}. Reason: Error."
    assert diagnose(Seen([], status_message=message, stage="ERROR")).cause.value == cause


def test_a_package_that_does_not_resolve_is_named() -> None:
    lines = ["error: No solution found when resolving script dependencies", "  cause: Because there are no versions of"]
    lines.append("         torchh and you require torchh, we can conclude that your requirements are unsatisfiable.")
    found = diagnose(Seen([lines[0], " ".join(line.strip() for line in lines[1:])], 1))
    assert found.cause is Reason.MISSING_DEPENDENCY
    assert "torchh" in found.remedy


def test_the_run_object_shows_it() -> None:
    shown = failure(Reason.HUB_UNAVAILABLE, " 503 ", confidence=0.8).as_json()
    assert shown["retryable"] is True
    assert shown["retry"] == "same"
    assert shown["evidence"] == "503"
    assert shown["confidence"] == 0.8
    assert len(failure(Reason.UNKNOWN, "x" * 9999).evidence or "") == 500


FRAGMENTS = sorted({line for case in cases() for line in list(case.seen.lines)[:60]})


@settings(max_examples=150)
@given(
    st.lists(st.one_of(st.text(max_size=80), st.sampled_from(FRAGMENTS)), max_size=25),
    st.one_of(st.none(), st.integers(-300, 300)),
    st.one_of(st.none(), st.text(max_size=40)),
    st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["NO_CREDITS", "X"])),
    st.one_of(st.none(), st.text(max_size=10), st.sampled_from(["ERROR", "COMPLETED", "CANCELED", "DELETED"])),
)
def test_it_never_raises(
    lines: list[str], code: int | None, message: str | None, reason: str | None, stage: str | None
) -> None:
    found = diagnose(Seen(lines, code, message, reason, stage))
    assert isinstance(found, Failure)
    assert 0 <= found.confidence <= 1
    assert found == diagnose(Seen(["\n".join(lines)], code, message, reason, stage))
