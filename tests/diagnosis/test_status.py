"""What Hugging Face says of a job, and what its cancel, exit code and last line tell."""

from __future__ import annotations

import pytest

from service.domain.diagnosis import Seen, diagnose

LOG = [
    "{'loss': 1.2, 'grad_norm': 1.0, 'epoch': 0.1}",
    " 12%|█▏        | 12/100 [00:12<01:30,  1.02s/it]",
]
OWN = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "NameError: name 'x' is not defined"]


@pytest.mark.parametrize(
    ("message", "cause", "retry"),
    [
        ("Job timeout", "job_timeout", "changed"),
        ("Job timed out after 30 minutes", "job_timeout", "changed"),
        ("Job exceeded its maximum duration", "job_timeout", "changed"),
        ("Job failed with exit code: 137. Reason: OOMKilled", "host_oom", "changed"),
        ("The node was low on resource: memory.", "host_oom", "changed"),
        ("Evicted: Pod ephemeral local storage usage exceeds the limit", "disk_full", "changed"),
        ("ImagePullBackOff", "image_error", "changed"),
        ('ErrImagePull: failed to pull and unpack image "x": i/o timeout', "image_error", "changed"),
        ("the image could not be pulled", "image_error", "changed"),
        ("Job failed with exit code: 128. Reason: StartError", "image_error", "changed"),
        ("Unschedulable: 48 Insufficient nvidia.com/gpu", "infrastructure", "same"),
        ("SchedulingFailed: no nodes available", "infrastructure", "same"),
        ("Job could not be scheduled in time", "infrastructure", "same"),
        ("Timed out waiting for GPU capacity", "infrastructure", "same"),
        ("Node was terminated", "infrastructure", "same"),
        ("Insufficient credits", "no_credits", "never"),
        ("Resource group limit reached", "spend_limit", "never"),
        ("Canceled by user", "cancelled_outside", "never"),
    ],
)
def test_a_status_message_speaks_for_itself(message: str, cause: str, retry: str) -> None:
    found = diagnose(Seen([*LOG, *OWN], status_message=message, stage="ERROR"))
    assert (found.cause.value, found.retry.value, found.evidence) == (cause, retry, message)


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("NO_CREDITS", "no_credits"),
        ('"no_credits"', "no_credits"),
        ('{"stage": "CANCELED", "message": null, "cancelReason": "NO_SUBSCRIPTION"}', "no_credits"),
        ("RESOURCE_GROUP_LIMIT", "spend_limit"),
        ("JOB_TIMEOUT", "job_timeout"),
        ("A_NEW_WORD", "cancelled_outside"),
        ("null", "cancelled_outside"),
        (None, "cancelled_outside"),
    ],
)
def test_a_cancelled_job_has_its_reason_or_somebody_cancelled_it(reason: str | None, cause: str) -> None:
    for code in (None, 1, 137, 143):
        found = diagnose(Seen([*LOG, "Killed"], code, cancel_reason=reason, stage="CANCELED"))
        assert (found.cause.value, found.retry.value) == (cause, "changed" if cause == "job_timeout" else "never")


def test_a_cancel_shows_how_it_is_known() -> None:
    assert diagnose(Seen(LOG, stage="CANCELED")).evidence == "stage: CANCELED"
    assert diagnose(Seen(LOG, cancel_reason="A_NEW_WORD")).evidence == "cancelReason: A_NEW_WORD"
    assert diagnose(Seen(LOG, stage="CANCELED", status_message="stopped")).evidence == "stopped"


def test_a_line_that_only_announces_gives_way_to_what_it_announces() -> None:
    refused = ["HfHubHTTPError: 403 Forbidden: None.", "Cannot access content at: https://huggingface.co/api/s3proxy."]
    assert diagnose(Seen([*OWN[:2], *refused], 1)).evidence == refused[1]
    loading = [
        "RuntimeError: Error(s) in loading state_dict for PeftModel:",
        "\tsize mismatch for a.b: copying a param",
    ]
    assert diagnose(Seen([*OWN[:2], *loading], 1)).evidence == loading[1].strip()


def test_a_cancel_reason_that_is_not_known_does_not_outrank_a_stage_of_error() -> None:
    assert diagnose(Seen(OWN, 1, cancel_reason="A_NEW_WORD", stage="ERROR")).cause.value == "script_error"
    assert diagnose(Seen(LOG, 0, cancel_reason="null", stage="COMPLETED")).cause.value == "ok"
    assert diagnose(Seen(OWN, cancel_reason="A_NEW_WORD")).cause.value == "cancelled_outside"


@pytest.mark.parametrize(
    "line",
    [
        "Killed",
        "Killed by signal 9",
        "/bin/sh: 1: Killed",
        "/app/start.sh: line 4:    34 Killed                  python train.py",
        "[1]    1234 killed     python train.py",
        "Process killed by signal 9",
        "command terminated by signal 9",
        "python: killed by SIGKILL",
        "Process finished with exit code 137 (interrupted by signal 9: SIGKILL)",
        "Container exited with code 137",
        "exit code: 137",
        "make: *** [Makefile:12: train] Error 137",
        "The process was terminated by the OOM killer",
        "Memory limit exceeded",
        "Bus error (core dumped)",
        "  exitcode  : -9 (pid: 411)",
        "  traceback : Signal 9 (SIGKILL) received by PID 411",
    ],
)
def test_a_kill_is_want_of_memory_unless_something_else_ended_it(line: str) -> None:
    assert diagnose(Seen([*LOG, line], 1)).cause.value == "host_oom"
    assert diagnose(Seen([LOG[0], LOG[1] + line], 1)).cause.value == "host_oom"
    assert diagnose(Seen([*LOG, line], 137, "Job timeout", stage="ERROR")).cause.value == "job_timeout"
    assert diagnose(Seen([*LOG, line], 137, stage="CANCELED")).cause.value == "cancelled_outside"


@pytest.mark.parametrize(
    "line",
    [
        "Job timed out after 30 minutes",
        "ERROR: Job timeout reached (2h)",
        "timeout",
        "Execution timed out",
        "Job exceeded timeout of 1800 seconds",
        "Job execution time exceeded 30m",
        "Terminated due to timeout",
        "slurmstepd: error: *** JOB 12 CANCELLED AT 2025-05-02T10:11:12 DUE TO TIME LIMIT ***",
    ],
)
def test_a_line_that_tells_of_the_timeout(line: str) -> None:
    assert diagnose(Seen([*LOG, line], stage="ERROR")).cause.value == "job_timeout"
