"""What the Hub refuses is a failed publication once training has begun, and an answer of its own before."""

from __future__ import annotations

import pytest

from service.domain.diagnosis import Seen, diagnose

RAISED = [
    "Traceback (most recent call last):",
    '  File "/app/t.py", line 9, in <module>',
    "    main()",
    '  File "/opt/lib/python3.12/site-packages/huggingface_hub/utils/_http.py", line 761, in hf_raise_for_status',
]
FINISHED = ["{'train_runtime': '912.1', 'train_loss': '1.02', 'epoch': '1.0'}"]
BEGUN = ["{'loss': 1.2, 'grad_norm': 1.0, 'epoch': 0.1}", " 12%|█▏        | 12/100 [00:12<01:30,  1.02s/it]"]
REPO = "https://huggingface.co/api/models/acme/x"
MISSING = [
    "huggingface_hub.errors.RepositoryNotFoundError: {} Client Error. (Request ID: Root=1-69)",
    "",
    f"Repository Not Found for url: {REPO}/preupload/main.",
]
ANSWERS = {
    "404 preupload": ([*RAISED, MISSING[0].format(404), *MISSING[1:]], "hub_forbidden"),
    "401 preupload": ([*RAISED, MISSING[0].format(401), *MISSING[1:]], "hub_auth"),
    "403 preupload": (
        [
            *RAISED,
            "huggingface_hub.errors.HfHubHTTPError: (Request ID: Root=1-69)",
            "",
            "403 Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request.",
            f"Cannot access content at: {REPO}/preupload/main.",
        ],
        "hub_forbidden",
    ),
    "503 commit": (
        [*RAISED, f"huggingface_hub.errors.HfHubHTTPError: 503 Server Error: Busy for url: {REPO}/commit/main"],
        "hub_unavailable",
    ),
    "403 create": (
        [*RAISED, "HfHubHTTPError: 403 Client Error: Forbidden for url: https://huggingface.co/api/repos/create"],
        "hub_forbidden",
    ),
    "a command's lines": (
        ["hf upload acme/x ./out", "Error: Forbidden. (Request ID: Root=1-69)", "403 Forbidden: None."],
        "hub_forbidden",
    ),
    "git": (
        ["remote: Forbidden: pass `create_pr=1`", f"fatal: unable to access '{REPO}/': URL returned error: 403"],
        "hub_forbidden",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_the_same_answer_before_and_after_training(name: str) -> None:
    lines, before = ANSWERS[name]
    assert diagnose(Seen(["Starting", *lines], 1)).cause.value == before
    for told in (FINISHED, BEGUN, [*BEGUN, *FINISHED]):
        found = diagnose(Seen([*told, *lines], 1))
        assert (found.cause.value, found.retry.value) == ("push_failed", "same" if "503" in name else "changed")


def test_reading_after_training_is_no_publication() -> None:
    url = "https://huggingface.co/acme/base/resolve/main/config.json"
    lines = [*RAISED, MISSING[0].format(404), "", f"Entry Not Found for url: {url}."]
    assert diagnose(Seen([*FINISHED, *lines], 1)).cause.value == "model_not_found"


def test_whatever_is_raised_below_a_push_is_one_but_want_of_room() -> None:
    frame = '  File "/opt/lib/python3.12/site-packages/transformers/utils/hub.py", line 900, in push_to_hub'
    assert diagnose(Seen([*FINISHED, *RAISED[:3], frame, "ValueError: x"], 1)).cause.value == "push_failed"
    full = "OSError: [Errno 28] No space left on device"
    assert diagnose(Seen([*FINISHED, *RAISED[:3], frame, full], 1)).cause.value == "disk_full"
    assert diagnose(Seen([*RAISED[:3], frame, "ValueError: x"], 1)).cause.value != "push_failed"
