"""GET …/budget/burn-down: what was charged to a budget's present window, step by step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from service.domain.budget import Period
from service.domain.burn_down import steps
from tests.api.conftest import Api
from tests.api.test_usage import spend

BERLIN = ZoneInfo("Europe/Berlin")


def at(day: int, hour: int, month: int = 10) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def read(api: Api, path: str, **kwargs: Any) -> Any:
    answer = api("GET", path, **kwargs)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_steps_are_days_of_the_zone_and_the_day_of_25_hours_is_one() -> None:
    window = (at(1, 0), at(1, 0, month=11))
    charges = [(at(24, 21), 1), (at(24, 22), 2), (at(25, 22), 4), (at(25, 23), 8)]
    found = steps(charges, Period.MONTH, window, BERLIN)
    assert [(one.starts_at, one.ends_at, one.charged) for one in found] == [
        (at(23, 22), at(24, 22), 1),
        (at(24, 22), at(25, 23), 6),
        (at(25, 23), at(26, 23), 8),
    ]


def test_steps_stay_within_their_window_and_lose_nothing() -> None:
    window = (at(5, 12), at(6, 12))
    found = steps([(at(5, 11), 1), (at(6, 13), 2)], Period.WEEK, window, ZoneInfo("UTC"))
    assert [(one.starts_at, one.ends_at, one.charged) for one in found] == [
        (at(5, 12), at(6, 0), 1),
        (at(6, 0), at(6, 12), 2),
    ]


def test_a_day_goes_by_hours() -> None:
    [one] = steps([(at(5, 11).replace(minute=59), 3)], Period.DAY, (at(5, 0), at(6, 0)), BERLIN)
    assert (one.starts_at, one.ends_at, one.charged) == (at(5, 11), at(5, 12), 3)


def test_the_steps_add_up_to_what_the_budget_was_charged(api: Api) -> None:
    api("PUT", "/teams/research/users/key_test", as_="lead", json={"shut_out": False})
    for path in ("/organisation/budget", "/teams/research/budget?user=key_test"):
        assert api("PUT", path, as_="admin", json={"limit_usd": 9}).status_code == 200
    spend(api)
    for path in ("/organisation/budget", "/teams/research/budget", "/teams/research/budget?user=key_test"):
        budget = read(api, path)
        spent = read(api, path.replace("/budget", "/budget/burn-down"))
        assert budget["charged_usd"] == 0.000835
        assert round(sum(step["charged_usd"] for step in spent["data"]), 6) == 0.000835
        assert [step["from"] for step in spent["data"]] == ["2026-11-24T00:00:00.000Z"]
        assert (spent["window_start"], spent["window_end"]) == (budget["window_start"], budget["window_end"])


def test_what_has_no_budget_or_is_another_teams_is_not_there(api: Api) -> None:
    assert api("GET", "/teams/research/budget/burn-down?period=week").status_code == 404
    assert api("GET", "/teams/research/budget/burn-down", as_="outsider").status_code == 404
    assert api("GET", "/organisation/budget/burn-down").status_code == 404


def test_a_window_that_was_never_opened_has_no_steps(api: Api) -> None:
    api("PUT", "/teams/research/budget", as_="admin", json={"limit_usd": 9, "period": "day"})
    spend(api)
    assert len(read(api, "/teams/research/budget/burn-down?period=day")["data"]) == 1
    api.world.clock.turn(days=1)
    assert read(api, "/teams/research/budget/burn-down?period=day")["data"] == []
