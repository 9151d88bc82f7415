"""Windows of a calendar month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.budget import Period, window

ZONES = ("UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Apia")


@pytest.mark.parametrize(
    ("now", "zone", "start", "end"),
    [
        ("2026-11-24T12:00:00+00:00", "UTC", "2026-11-01T00:00:00+00:00", "2026-12-01T00:00:00+00:00"),
        ("2026-12-31T23:59:59+00:00", "UTC", "2026-12-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        # Berlin's March begins in winter time and ends in summer time
        ("2026-03-10T00:00:00+00:00", "Europe/Berlin", "2026-02-28T23:00:00+00:00", "2026-03-31T22:00:00+00:00"),
        ("2026-11-01T03:00:00+00:00", "America/Los_Angeles", "2026-10-01T07:00:00+00:00", "2026-11-01T07:00:00+00:00"),
    ],
)
def test_borders_are_midnights_of_the_zone(now: str, zone: str, start: str, end: str) -> None:
    found = window(Period.MONTH, datetime.fromisoformat(now), ZoneInfo(zone))
    assert found == (datetime.fromisoformat(start), datetime.fromisoformat(end))


def test_a_day_begins_at_the_first_of_two_midnights() -> None:
    """Havana's clocks go from one o'clock back to midnight."""
    found = window(Period.DAY, datetime.fromisoformat("2026-11-01T05:30:00+00:00"), ZoneInfo("America/Havana"))
    assert found[0] == datetime.fromisoformat("2026-11-01T04:00:00+00:00")


@given(
    now=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)), zone=st.sampled_from(ZONES)
)
def test_windows_hold_their_moment_and_follow_each_other_without_gap(now: datetime, zone: str) -> None:
    start, end = window(Period.MONTH, now, ZoneInfo(zone))
    assert start <= now < end
    assert window(Period.MONTH, end, ZoneInfo(zone))[0] == end
    assert window(Period.MONTH, start - timedelta(seconds=1), ZoneInfo(zone))[1] == start
