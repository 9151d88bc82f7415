"""What a live job is, which of several stays, what is done about a stray, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.domain.stray import Action, Bill, Kind, Known, Policy, Seen, bill, classify, decide, kept

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OURS = Seen("job_1", NOON, is_running=True, installation="ins_a", run_id="run_1", submission="sub_1")
LIVE = Known(is_terminal=False, submission="sub_1", hub_job_id="job_1")
OPEN = Known(is_terminal=False, submission="sub_1", hub_job_id=None)
WAITS = Known(is_terminal=False, submission=None, hub_job_id=None)
ENDED = Known(is_terminal=True, submission="sub_1", hub_job_id="job_1")
NO_LABELS = replace(OURS, id="job_9", installation=None, run_id=None, submission=None)


@pytest.mark.parametrize(
    ("job", "run", "kind"),
    [
        (OURS, LIVE, None),
        (OURS, OPEN, None),  # recovery's business
        (replace(OURS, id="job_2"), OPEN, None),
        (replace(OURS, id="job_2"), LIVE, Kind.SECOND_JOB),
        (OURS, ENDED, Kind.ENDED_RUN),
        (OURS, WAITS, Kind.LATE_JOB),
        (replace(OURS, submission="sub_0"), LIVE, Kind.LATE_JOB),
        (replace(OURS, submission=None), OPEN, Kind.LATE_JOB),
        (OURS, None, Kind.UNKNOWN_RUN),
        (replace(OURS, run_id=None), None, Kind.UNKNOWN_RUN),
        (NO_LABELS, None, Kind.OUTSIDE),
        (replace(OURS, installation="ins_b"), LIVE, Kind.OUTSIDE),
        (replace(OURS, installation=None), LIVE, Kind.OUTSIDE),
        (replace(OURS, id="job_2", copy_of="job_1"), LIVE, Kind.STARTED_BY_JOB),
        (replace(OURS, id="job_2", copy_of="job_1"), ENDED, Kind.STARTED_BY_JOB),
        (replace(NO_LABELS, copy_of="job_1"), None, Kind.STARTED_BY_JOB),
        (replace(NO_LABELS, copy_of="job_7"), None, Kind.OUTSIDE),
    ],
)
def test_every_live_job_is_of_one_kind(job: Seen, run: Known | None, kind: Kind | None) -> None:
    assert classify(job, "ins_a", run, "job_1", {"job_1"}) is kind


def test_the_running_job_stays_and_otherwise_the_oldest() -> None:
    waiting = replace(OURS, is_running=False)
    older = replace(OURS, id="job_0", created_at=NOON - timedelta(seconds=1), is_running=False)
    copy = replace(older, copy_of="job_x")
    assert kept("job_1", [OURS, older]) == "job_1"
    assert kept("job_1", [waiting, older]) == "job_0"
    assert kept("job_1", [waiting, copy]) == "job_1", "a copy is never the run's own"
    assert kept("job_1", [older]) == "job_1", "its own has ended, which is the outcome"
    assert kept("job_1", [replace(waiting, created_at=None)]) == "job_1"


@pytest.mark.parametrize(
    ("kind", "is_labelled", "actions"),
    [
        (Kind.OUTSIDE, False, "rrr"),
        (Kind.SECOND_JOB, True, "ccc"),
        (Kind.LATE_JOB, True, "ccc"),
        (Kind.ENDED_RUN, True, "ccc"),
        (Kind.UNKNOWN_RUN, True, "rac"),
        (Kind.STARTED_BY_JOB, True, "ccc"),
        (Kind.STARTED_BY_JOB, False, "rrc"),
    ],
)
def test_what_is_done_about_each(kind: Kind, is_labelled: bool, actions: str) -> None:
    short = {"r": Action.REPORTED, "a": Action.ADOPTED, "c": Action.CANCELLED}
    policies = (Policy.REPORT, Policy.ADOPT, Policy.CANCEL)
    assert [decide(kind, policy, is_labelled) for policy in policies] == [short[one] for one in actions]


@pytest.mark.parametrize(
    ("price", "timeout_seconds", "running_ms", "expected"),
    [
        (167, 600, 60_001, Bill(2, 334, 8 * 167)),
        (167, 600, 0, Bill(1, 167, 9 * 167)),
        (167, 600, None, Bill(0, 0, 10 * 167)),
        (167, 600, 660_000, Bill(11, 11 * 167, 0)),
        (167, None, 1, Bill(1, 167, 0)),
        (None, 600, 1, Bill(1, None, None)),
        (None, 600, None, Bill(0, 0, None)),
    ],
)
def test_a_strays_dollars(
    price: int | None, timeout_seconds: int | None, running_ms: int | None, expected: Bill
) -> None:
    assert bill(price, timeout_seconds, running_ms) == expected
