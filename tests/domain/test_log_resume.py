"""Replays are told from news: nothing is lost and nothing doubled, wherever a connection breaks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.domain.log_line import LogLine
from service.domain.log_resume import Resume


def log(count: int) -> list[LogLine]:
    """Lines that cannot be told apart by their text, three to a second."""
    return [LogLine(f"2026-11-24T00:{n // 180:02}:{n // 3 % 60:02}.{n % 3}00Z", f"loss {n % 2}") for n in range(count)]


@given(st.data(), st.integers(0, 60))
def test_a_log_that_is_read_in_connections_is_the_log(data: st.DataObject, total: int) -> None:
    whole, known = log(total), list[LogLine]()
    for until in [*sorted(data.draw(st.lists(st.integers(0, total), max_size=5))), total]:
        resume = Resume(len(known), known[-1] if known else None)
        size = data.draw(st.integers(1, 20))
        for at in range(0, until, size):
            known += resume.new(whole[at : min(until, at + size)])
        known += resume.at_end()
    assert known == whole


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 200))
def test_where_the_beginning_is_gone_what_is_newer_goes_on(have: int, more: int, gone: int) -> None:
    whole = log(have + more)
    gone = min(gone, have)
    resume = Resume(have, whole[have - 1])
    found = resume.new(whole[gone:]) + resume.at_end()
    assert found == whole[have:]


def test_a_time_that_cannot_be_read_is_no_news() -> None:
    line = LogLine("yesterday", "x")
    assert Resume(2, line).new([line]) == []
    assert line.at is None
    assert LogLine("2026-11-24T00:00:00.123456789Z", "x").at is not None
