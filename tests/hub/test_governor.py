"""How calls are spread over a rate limit's window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.hub.governor import Governor

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PRO = 2_500


def governor(left: int, seconds: int = 300, **lists: int) -> Governor:
    """Of a PRO account, with so many calls left for so long; `lists` by namespace, as many calls long."""
    made = Governor()
    made.observe(
        {"ratelimit": f'"api";r={left};t={seconds}', "ratelimit-policy": f'"fixed window";"api";q={PRO};w=300'}, NOW
    )
    for namespace, calls in lists.items():
        made.listed(namespace, calls, NOW)
    return made


def test_lists_of_ten_thousand_jobs_leave_calls_for_all_else() -> None:
    pace = governor(PRO, acme=100).list_seconds(NOW)
    assert pace == pytest.approx(25)
    assert 100 * 300 / pace <= PRO * 0.5


def test_a_list_waits_until_its_round_is_over() -> None:
    one = governor(PRO, acme=100)
    assert not one.may_list("acme", NOW + timedelta(seconds=20))
    assert one.may_list("acme", NOW + timedelta(seconds=26))
    assert one.may_list("other", NOW)


def test_short_lists_are_read_whenever_somebody_has_a_reason_to() -> None:
    assert governor(PRO, acme=1).list_seconds(NOW) == 0
    assert Governor().list_seconds(NOW) == 0


def test_lists_of_several_namespaces_share_the_calls() -> None:
    assert governor(PRO, acme=50, labs=50).list_seconds(NOW) == governor(PRO, acme=100).list_seconds(NOW)


def test_what_others_used_of_the_window_makes_lists_rarer() -> None:
    assert governor(1_000, acme=100).list_seconds(NOW) == pytest.approx(100)
    assert governor(510, acme=100).list_seconds(NOW) == 300
    assert not governor(500, acme=100).may_list("acme", NOW + timedelta(seconds=200))


def test_a_new_window_is_used_anew() -> None:
    assert governor(600, 10, acme=100).list_seconds(NOW + timedelta(seconds=10)) == pytest.approx(25)


def test_a_clock_that_was_set_back_keeps_no_list_waiting() -> None:
    assert governor(PRO, acme=100).may_list("acme", NOW - timedelta(hours=1))


def test_submissions_go_on_longer_than_polling_and_leave_the_last_calls_to_cancels() -> None:
    asked = [(one.may_poll(NOW), one.may_submit(NOW)) for one in map(governor, (501, 500, 126, 125))]
    assert asked == [(True, True), (False, True), (False, True), (False, False)]
