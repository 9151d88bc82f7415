"""When schedules are due: through changes of the clocks, and after times that nobody was there for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import BrokenRule
from service.domain.placeholders import filled, of_time
from service.domain.schedule import GRACE, Due, Misfire, Timing, checked_cron, due

BERLIN = ZoneInfo("Europe/Berlin")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def cron(text: str, zone: ZoneInfo = BERLIN) -> Timing:
    return Timing(text, None, zone, EPOCH)


def every(**span: float) -> Timing:
    return Timing(None, int(timedelta(**span).total_seconds()), BERLIN, EPOCH)


def local(timing: Timing, moment: datetime, count: int) -> list[str]:
    return [f"{one.astimezone(timing.zone):%d %H:%M%z}" for one in islice(timing.following(moment), count)]


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        # the clocks go forward: 02:30 is not there, and comes at the change
        ("30 2 * * *", datetime(2026, 3, 28, 12), ["29 03:00+0200", "30 02:30+0200"]),
        ("0 * * * *", datetime(2026, 3, 29, 0, 30), ["29 01:00+0100", "29 03:00+0200", "29 04:00+0200"]),
        # they go back: 02:30 comes twice, and counts once; an hour that comes twice is two hours
        ("30 2 * * *", datetime(2026, 10, 24, 12), ["25 02:30+0200", "26 02:30+0100"]),
        ("0 * * * *", datetime(2026, 10, 25, 1, 30), ["25 02:00+0200", "25 02:00+0100", "25 03:00+0100"]),
        # Sunday is 0, and 7
        ("0 9 * * 0", datetime(2026, 11, 30), ["06 09:00+0100"]),
        ("0 9 * * 7", datetime(2026, 11, 30), ["06 09:00+0100"]),
    ],
)
def test_cron_is_read_as_crons_do_through_changes_of_the_clocks(
    text: str, start: datetime, expected: list[str]
) -> None:
    assert local(cron(text), start.replace(tzinfo=BERLIN), len(expected)) == expected


@given(
    st.sampled_from(["*/7 * * * *", "0 * * * *", "30 2 * * *", "15 3 1 * *", "0 0 * * 1-5"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
)
def test_however_it_is_asked_the_times_are_the_same_and_go_on(text: str, moment: datetime) -> None:
    timing = cron(text)
    walked = list(islice(timing.following(moment.replace(tzinfo=UTC)), 8))
    asked = [walked[0]]
    while len(asked) < len(walked):
        asked.append(timing.after(asked[-1]))
    assert asked == walked
    assert walked == sorted(set(walked))
    assert walked[0] > moment.replace(tzinfo=UTC)


@given(st.integers(60, 30 * 86400), st.integers(0, 10**8))
def test_intervals_are_counted_from_their_beginning(seconds: int, later: int) -> None:
    timing = Timing(None, seconds, BERLIN, EPOCH)
    moment = EPOCH + timedelta(seconds=later)
    following = timing.after(moment)
    assert moment < following <= moment + timedelta(seconds=seconds)
    assert (following - EPOCH).total_seconds() % seconds == 0


def test_a_time_that_comes_in_time_or_a_little_late_makes_a_run() -> None:
    timing, first = every(hours=1), EPOCH + timedelta(hours=1)
    for misfire in Misfire:
        assert due(timing, first, misfire, first) == Due(first, 0)
        assert due(timing, first, misfire, first + GRACE) == Due(first, 0)


def test_of_times_that_passed_none_counts_or_the_last_one_does() -> None:
    timing, first = every(hours=1), EPOCH + timedelta(hours=1)
    now = EPOCH + timedelta(hours=5, minutes=30)
    assert due(timing, first, Misfire.SKIP, now) == Due(None, 5)
    assert due(timing, first, Misfire.RUN_ONCE, now) == Due(EPOCH + timedelta(hours=5), 4)
    # the last of them has only just come
    assert due(timing, first, Misfire.SKIP, EPOCH + timedelta(hours=5)) == Due(EPOCH + timedelta(hours=5), 4)


@pytest.mark.parametrize("text", ["* * * *", "61 * * * *", "0 0 31 2 *", "@daily", "", "0 0 * * * *"])
def test_what_is_no_cron_expression_is_refused(text: str) -> None:
    with pytest.raises(BrokenRule) as told:
        checked_cron(text)
    assert "five fields" in told.value.remedy


def test_placeholders_are_filled_everywhere_but_in_a_script() -> None:
    values = of_time(datetime(2026, 11, 30, 2, 5, tzinfo=BERLIN))
    template = {
        "output_repo": "acme/daily-{{date}}",
        "labels": {"week": "{{ week }}", "at": "{{time}}"},
        "recipe": {"source": "print('{{date}}')", "args": ["--seed", "{{timestamp}}", 3, None]},
    }
    assert filled(template, values) == {
        "output_repo": "acme/daily-2026-11-30",
        "labels": {"week": "2026-W49", "at": "0205"},
        "recipe": {"source": "print('{{date}}')", "args": ["--seed", "1796000700", 3, None]},
    }
    with pytest.raises(BrokenRule, match=r"no placeholder '\{\{dat\}\}'"):
        filled({"output_repo": "acme/{{dat}}"}, values)
