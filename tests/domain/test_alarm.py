"""What guards find in logs as they come, and what they leave in peace."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from math import inf, isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.alarm import Alarm, Watched, alarms
from service.domain.alarm.notes import REFRESHED, failure_of, is_old, news, noted, stopper
from service.domain.guards import CAUSES, Guard, Guards
from service.domain.log_line import LogLine
from service.domain.losses import first_broken, peak_of_divergence
from service.domain.progress import Hints, Reader, Trend
from service.domain.progress.point import Point
from service.domain.progress.trend import MOST_LOSSES

START = datetime(2026, 11, 24, tzinfo=UTC)
PRICE = 10_000  # a cent a minute
WARN = Guards().model_dump()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def training(entries: list[str], every: float = 30, total: int = 1000) -> Reader:
    """A log with one dict each ten steps, so many seconds apart."""
    reader = Reader(Hints(total, 10))
    for number, entry in enumerate(entries, 1):
        step = 10 * number
        bar = f"{step * 100 // total}%|█ | {step}/{total} [00:10<00:30, 2.0s/it]"
        reader.read([LogLine(at(number * every).isoformat(), f"{bar}\r{bar}{entry}")])
    return reader


def losses(*values: float | str) -> list[str]:
    return [f"{{'loss': '{value}', 'grad_norm': '1.0', 'epoch': '0.1'}}" for value in values]


def found(reader: Reader, now: float, timeout: float = 10**6, p90: int | None = None) -> dict[Guard, Alarm]:
    watched = Watched(reader, START, int(timeout), PRICE, p90)
    return {alarm.guard: alarm for alarm in alarms(watched, at(now))}


FALLING = losses(*(2.0 - 0.05 * n for n in range(20)))


def test_a_training_that_goes_well_is_left_in_peace() -> None:
    assert found(training(FALLING), 610, timeout=4000, p90=PRICE * 60) == {}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{'loss': '0', 'grad_norm': 'nan', 'epoch': '0.2'}", True),  # logging_nan_inf_filter, TRL's default
        ("{'loss': 'nan', 'grad_norm': 'nan', 'epoch': '0.2'}", True),
        ("{'loss': inf, 'grad_norm': nan, 'epoch': 0.2}", True),
        ("{'loss': '1.9', 'grad_norm': 'nan', 'epoch': '0.2'}", False),  # float16's scaler skips the step
        ("{'loss': '0', 'grad_norm': '0', 'epoch': '0.2'}", False),
    ],
)
def test_a_loss_that_is_no_number_is_told_and_certain_at_the_third(entry: str, told: bool) -> None:
    first = found(training([*FALLING[:5], entry]), 200).get(Guard.NAN)
    third = found(training([*FALLING[:5], *[entry] * 3]), 300).get(Guard.NAN)
    assert (first is not None, third is not None) == (told, told)
    if first is not None and third is not None:
        assert (first.is_certain, third.is_certain) == (False, True)
        assert third.message == "The loss is not a number since step 60: what follows trains nothing."
        assert first.message.endswith("since step 60: one such step may pass, 3 logged in a row do not.")
        assert first.evidence == "NaN, infinite, or 0 in place of it since step 60, in the last logged loss"


def test_a_loss_that_came_back_is_no_alarm() -> None:
    assert Guard.NAN not in found(training([*FALLING[:5], *losses("nan"), *FALLING[5:]]), 900)


def test_a_loss_that_fell_to_nothing_at_once_is_a_hidden_nan() -> None:
    alarm = found(training([*FALLING[:4], *losses(0, 0, 0, 0, 0)]), 300)[Guard.NAN]
    assert (alarm.is_certain, alarm.numbers["step"]) == (True, 50)


def test_a_loss_that_runs_away_is_told_with_its_best() -> None:
    alarm = found(training(losses(2.0, 1.8, 1.9, 2.5, 3.6, 6.0, 9.0, 12.0, 15.0, 18.0)), 400)[Guard.DIVERGENCE]
    assert alarm.is_certain
    assert alarm.message == "The loss runs away: it began at 2, its best was 1.8, and it was 18 at step 100."


def test_a_bump_of_the_warm_up_is_none() -> None:
    assert Guard.DIVERGENCE not in found(training(losses(2.0, 3.1, 2.4, 2.0, 1.9, 1.8, 1.7)), 400)


def test_a_timeout_that_will_not_be_kept_is_told_early_with_the_cost_of_both_choices() -> None:
    # ten steps each 30 s: a thousand take 50 minutes, and there are 40
    alarm = found(training(FALLING[:12]), 360, timeout=2400)[Guard.TIMEOUT]
    assert alarm.is_certain
    assert alarm.numbers == {
        "left_seconds": 2640,
        "remaining_seconds": 2040,
        "reached_step": 800,
        "spent_usd": 0.06,
        "let_run_usd": 0.41,
        "again_timeout_seconds": 3600,
        "again_usd": 0.5,
    }
    for said in ("44 min of work are left, and 34 min to run", "step 800 of 1,000", "$0.41", "$0.06", "$0.50"):
        assert said in alarm.message
    assert "a timeout of 60m" in alarm.remedy


def test_quick_steps_that_are_each_logged_are_judged_as_well() -> None:
    # two steps a second: ten thousand take 84 minutes, and there are 40
    reader = Reader(Hints(10_000, 1))
    for step in range(1, 1201):
        bar = f"{step // 100}%|█ | {step}/10000 [00:10<00:30, 2.0it/s]"
        reader.read([LogLine(at(step / 2).isoformat(), f"{bar}\r{bar}{losses(2.0)[0]}")])
        if step == 420:
            assert Guard.TIMEOUT in found(reader, step / 2, timeout=2400)
    alarm = found(reader, 600, timeout=2400)[Guard.TIMEOUT]
    assert (alarm.is_certain, alarm.numbers["left_seconds"]) == (True, 4400)


@pytest.mark.parametrize(("entries", "timeout"), [(3, 2400), (12, 3100)])
def test_a_timeout_is_not_judged_too_early_nor_where_it_is_long_enough(entries: int, timeout: int) -> None:
    assert Guard.TIMEOUT not in found(training(FALLING[:entries]), entries * 30, timeout=timeout)


def test_a_cost_above_the_p90_is_told_and_certain_only_at_the_fast_pace_too() -> None:
    alarm = found(training(FALLING[:12]), 360, timeout=10**5, p90=PRICE * 45)[Guard.COST]
    assert alarm.is_certain
    assert (alarm.numbers["spent_usd"], alarm.numbers["expected_usd"], alarm.numbers["p90_usd"]) == (0.06, 0.5, 0.45)
    assert Guard.COST not in found(training(FALLING[:12]), 360, timeout=10**5, p90=PRICE * 50)


def test_a_job_that_says_nothing_of_its_steps_is_told_of_once_it_has_cost_too_much() -> None:
    assert Guard.COST not in found(Reader(), 590, p90=PRICE * 10)
    assert found(Reader(), 610, p90=PRICE * 10)[Guard.COST].is_certain


@pytest.mark.parametrize(("silence", "told"), [(500, False), (650, True)])
def test_steps_that_do_not_come_are_a_stall(silence: float, told: bool) -> None:
    alarm = found(training(FALLING[:12]), 360 + silence).get(Guard.STALL)
    assert (alarm is not None) == told
    if alarm is not None:
        assert alarm.message == "No sign of a step for 11 min, where 30 s is usual: step 120 was the last."


def test_a_few_quick_steps_are_enough_to_tell_a_stall() -> None:
    reader = Reader(Hints(1000, 1))
    for step in range(1, 30):
        reader.read([LogLine(at(step / 5).isoformat(), f"{step}/1000 [00:10<00:30, 5.0it/s]{losses(2.0)[0]}")])
    assert Guard.STALL not in found(reader, 500)
    assert found(reader, 650)[Guard.STALL].is_certain


def test_slow_steps_and_a_bar_of_an_evaluation_are_none() -> None:
    assert Guard.STALL not in found(training(FALLING[:12], every=300), 3600 + 2900)
    reader = training(FALLING[:12])
    reader.read([LogLine(at(900).isoformat(), "Evaluating:  7%|▋  | 7/100 [09:00<10:00, 77.0s/it]")])
    assert Guard.STALL not in found(reader, 1010)
    assert Guard.STALL in found(reader, 1510)


def test_a_training_that_is_over_neither_stalls_nor_runs_late() -> None:
    reader = training([f"{{'loss': '{2 - n / 100}'}}" for n in range(100)])
    reader.read([LogLine(at(3001).isoformat(), "{'train_runtime': '3000', 'train_loss': '1.5', 'epoch': '1'}")])
    assert found(reader, 9000, timeout=9010) == {}


@given(st.lists(st.one_of(st.floats(0, 30), st.just(inf)), max_size=900))
def test_a_trend_keeps_the_shape_in_few_numbers_and_survives_json(values: list[float]) -> None:
    trend = Trend()
    for value in values:
        trend.take(_point(value))
    assert len(trend.losses) == len(trend.steps) <= MOST_LOSSES
    assert trend.count == len(values)
    kept = [value for at_, value in enumerate(values) if at_ % trend.stride == 0]
    assert trend.losses == kept
    assert Trend.from_json(json.loads(json.dumps(trend.as_json()))) == trend
    tail = next((n for n, value in enumerate(reversed(values)) if isfinite(value)), len(values))
    assert trend.broken_in_a_row == tail


def _point(value: float) -> Point:
    return Point("train", {"loss": value}) if isfinite(value) else Point("train", {}, ("loss",))


@given(st.lists(st.one_of(st.floats(0, 1000), st.just(inf)), max_size=60))
def test_a_place_that_the_rules_name_is_in_the_series(values: list[float]) -> None:
    broken, peak = first_broken(values), peak_of_divergence(values)
    assert broken is None or not isfinite(values[broken]) or values[broken] == 0
    assert peak is None or isfinite(values[peak])


def test_notes_tell_each_guard_once_have_an_end_and_are_refreshed() -> None:
    (alarm,) = found(training(FALLING[:12]), 360, timeout=2400).values()
    first = noted([], [alarm], WARN, at(360))
    assert [note["guard"] for note in news([], first)] == ["timeout"]
    assert noted(first, [alarm], WARN, at(380)) == first
    later = noted(first, [alarm], WARN, at(360) + REFRESHED)
    assert (later[0]["since"], is_old(later[0], at(361) + REFRESHED)) == (first[0]["since"], False)
    over = noted(later, [], WARN, at(900))
    assert over[0]["ended_at"] is not None
    back = noted(over, [alarm], WARN, at(1000))
    assert (back[0]["ended_at"], news(over, back)) == (None, [])


def test_only_what_is_certain_and_wanted_stops_a_job() -> None:
    (alarm,) = found(training([*FALLING[:5], *losses("nan", "nan", "nan")]), 300).values()
    assert stopper(noted([], [alarm], WARN, at(300))) is Guard.NAN
    assert stopper(noted([], [alarm], {**WARN, "nan": "warn"}, at(300))) is None
    assert stopper(noted(noted([], [alarm], WARN, at(300)), [], WARN, at(310))) is None
    (early,) = found(training([*FALLING[:5], *losses("nan")]), 200).values()
    first = noted([], [early], WARN, at(200))
    assert stopper(first) is None
    assert stopper(noted(first, [alarm], WARN, at(210))) is Guard.NAN
    failed = failure_of(noted([], [alarm], WARN, at(300)), Guard.NAN, None)
    assert (failed.cause, failed.message) == (
        CAUSES[Guard.NAN],
        "The loss is not a number since step 60: what follows trains nothing. Its guard 'nan' stopped it.",
    )
