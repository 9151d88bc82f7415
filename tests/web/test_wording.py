"""How pages write what the API says."""

from __future__ import annotations

import pytest

from service.web import run_words, wording


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        (None, "not known yet"),
        (0, "$0.00"),
        (1234.5, "$1,234.50"),
        (0.0018, "$0.0018"),
        (0.000167, "$0.0002"),
        (0.00000317, "$0.000003"),
        (-3, "−$3.00"),
    ],
)
def test_dollars_have_two_digits_or_as_many_as_say_something(amount: float | None, told: str) -> None:
    assert wording.usd(amount) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (59, "59 s"), (72, "1 min 12 s"), (600, "10 min"), (12_000, "3 h 20 min"), (187_200, "2 days 4 h")],
)
def test_durations_are_as_people_say_them(seconds: float, told: str) -> None:
    assert wording.duration(seconds) == told


def test_a_place_in_the_line() -> None:
    told = [run_words.place_in_line(one) for one in (1, 2, 11)]
    assert told == ["First in line", "Second in line", "Number 11 in line"]


def test_ids_and_times_in_a_sentence_are_more_than_text_and_all_else_is_text() -> None:
    run_id = "run_01M8MFP21G7DW0KQSVDX2YX98G"
    told = run_words.linked(f"behind {run_id}, <b>which</b> waits")
    assert told == (
        f'behind <a class="run" href="/ui/runs/{run_id}" title="{run_id}">…2YX98G</a>, &lt;b&gt;which&lt;/b&gt; waits'
    )
    assert run_words.linked(None) == ""
    assert run_words.linked("it fits at 2026-12-01 00:00 UTC at the latest") == (
        'it fits at <time datetime="2026-12-01T00:00:00Z" data-show="clock">2026-12-01 00:00 UTC</time> at the latest'
    )
    assert 'datetime="2026-12-01T08:30:07Z"' in run_words.linked("tried again at 2026-12-01 08:30:07 UTC")


def test_a_data_block_cannot_be_left_by_what_is_in_it() -> None:
    told = wording.data({"label": "</script><script>alert(1)</script>&"})
    assert "<" not in told
    assert "&" not in told
