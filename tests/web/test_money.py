"""`/ui/money`: the API's numbers in sentences, for whom they are, and its forms."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest

from service.web.burn_down import burn_down
from service.web.span import chosen
from service.web.wording import usd
from tests.api.conftest import Api
from tests.web.page import Visitor, words

MONEY = "/ui/money"


def spend(api: Api) -> list[str]:
    """A run that is useful, one that fails, one that holds its money still."""
    world = api.world
    ended = [world.enqueue(seconds=70), world.enqueue(seconds=130, exit_code=1, log="ValueError: no")]
    world.until_end(*ended, seconds=70)
    going = world.enqueue(seconds=300)
    world.pass_all()
    return [*ended, going]


def budget(api: Api, path: str = "/teams/research/budget", **query: str) -> Any:
    answer = api("GET", path, as_="admin", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def charts(html: str) -> list[Any]:
    return [
        json.loads(unescape(text)) for text in re.findall(r'<script type="application/json">(.*?)</script>', html, re.S)
    ]


def test_the_first_sentence_says_what_is_left_and_how_long_it_lasts(api: Api) -> None:
    spend(api)
    told, found = Visitor(api).text(MONEY), budget(api)
    assert f"{usd(found['remaining_usd'])} is left for research this month" in told
    assert "a day it lasts: " in told
    assert f"{usd(found['forecast']['by_window_end_usd'])} will be spent when the window ends" in told
    assert f"charged {usd(found['charged_usd'])} reserved {usd(found['reserved_usd'])}" in told


def test_the_tightest_budget_speaks_and_comes_first(api: Api) -> None:
    api("PUT", "/organisation/budget", as_="admin", json={"limit_usd": 0.05})
    told = Visitor(api).text(MONEY)
    assert "$0.05 is left for research this month What binds is the organisation's budget." in told
    assert told.index("The organisation, this month") < told.index("research, this month $0.10")


def test_a_team_without_a_budget_is_told_who_grants_one(api: Api) -> None:
    assert "other has no budget Its runs wait for money until an admin grants one." in Visitor(api, "outsider").text(
        MONEY
    )
    told = Visitor(api, "admin").text(f"{MONEY}?team=other")
    assert "grant it some below" in told
    assert "Set the budget" in told


def test_the_burn_down_ends_at_what_is_left_and_goes_on_at_the_forecast(api: Api) -> None:
    spend(api)
    [drawn, days] = charts(Visitor(api).html(MONEY))
    left, ahead = (row["values"] for row in drawn["rows"])
    found = budget(api)
    whole = found["limit_usd"]
    assert next(one for one in left if one is not None) == whole
    assert [one for one in left if one is not None][-1] == pytest.approx(whole - found["charged_usd"])
    assert ahead[-1] == pytest.approx(whole - found["forecast"]["by_window_end_usd"], abs=1e-5)
    assert drawn["x"][-1] == datetime.fromisoformat(found["window_end"]).timestamp()
    waste, useful = days["rows"]
    assert sum(waste["told"]) == pytest.approx(0.000501)
    assert sum(useful["values"]) == pytest.approx(0.000334)
    assert len(days["x"]) == 30, "each day of November"


def window(**fields: Any) -> dict[str, Any]:
    money = {"limit_usd": 10.0, "carried_usd": 0.0, "granted_usd": 0.0, "charged_usd": 6.0, "reserved_usd": 1.0}
    return {
        **money,
        "remaining_usd": 3.0,
        "period": "month",
        "team": "research",
        "user": None,
        "window_start": "2026-11-01T00:00:00Z",
        "window_end": "2026-12-01T00:00:00Z",
        "forecast": {"per_day_usd": 2.0, "by_window_end_usd": 22.0, "ends_at": "2026-11-22T00:00:00Z"},
        **fields,
    }


def test_each_step_takes_off_what_was_charged_in_it() -> None:
    days = [(3, 1.5), (4, 0.5), (9, 4.0)]
    data = [
        {"from": f"2026-11-{day:02}T00:00:00Z", "to": f"2026-11-{day + 1:02}T00:00:00Z", "charged_usd": spent}
        for day, spent in days
    ]
    steps = {"window_start": "2026-11-01T00:00:00Z", "data": data}
    drawn = burn_down(window(), steps, datetime(2026, 11, 20, tzinfo=UTC))["what"]
    points = zip(drawn["x"], drawn["rows"][0]["values"], strict=True)
    left = {datetime.fromtimestamp(at, UTC).day: value for at, value in points if value is not None}
    assert left == {1: 10.0, 3: 10.0, 4: 8.5, 5: 8.0, 9: 8.0, 10: 4.0, 20: 4.0}


def test_money_that_runs_out_lies_on_the_ground_until_the_window_ends() -> None:
    steps = {"window_start": "2026-11-01T00:00:00Z", "data": []}
    found = burn_down(window(charged_usd=0.0, remaining_usd=9.0), steps, datetime(2026, 11, 20, tzinfo=UTC))
    assert [one for one in found["what"]["rows"][1]["values"] if one is not None] == [10.0, 0.0, 0.0]
    assert "it is spent on 2026-11-22" in found["words"]


def test_a_budget_without_an_end_looks_as_far_ahead_as_back() -> None:
    total = window(
        period="total",
        window_end="9999-12-31T00:00:00Z",
        forecast={"per_day_usd": 0.1, "by_window_end_usd": None, "ends_at": None},
    )
    now = datetime(2026, 11, 20, tzinfo=UTC)
    found = burn_down(total, {"window_start": total["window_start"], "data": []}, now)
    assert found["what"]["x"][-1] - now.timestamp() == 19 * 86_400
    assert "It shrinks by $0.10 a day." in found["words"]


def test_what_is_overdrawn_is_drawn_below_zero() -> None:
    over = window(charged_usd=12.0, remaining_usd=-3.0, reserved_usd=1.0)
    found = burn_down(over, {"window_start": over["window_start"], "data": []}, datetime(2026, 11, 20, tzinfo=UTC))
    assert found["what"]["from_zero"] is False


@pytest.mark.parametrize(
    ("name", "first", "days"),
    [("7d", "2026-11-18", 7), ("30d", "2026-10-26", 30), ("2026-10", "2026-10-01", 31), ("nonsense", "2026-11-01", 30)],
)
def test_spans_are_whole_days_of_the_teams_zone(name: str, first: str, days: int) -> None:
    span = chosen(name, datetime(2026, 11, 24, 12, tzinfo=UTC), "Europe/Berlin", None)
    assert (span.days[0].isoformat(), len(span.days)) == (first, days)
    assert span.since.hour in (22, 23), "midnight in Berlin"


def test_a_window_longer_than_an_answer_is_cut_and_says_so() -> None:
    total = {"period": "total", "window_start": "2020-01-01T00:00:00Z", "window_end": "9999-12-31T00:00:00Z"}
    span = chosen("window", datetime(2026, 11, 24, 12, tzinfo=UTC), "UTC", total)
    assert (span.until - span.since).days == 400
    assert span.is_cut


def test_where_it_went_has_the_apis_sums_and_their_csv(api: Api) -> None:
    spend(api)
    html = Visitor(api).html(MONEY)
    told = words(html)
    assert "not known yet : the bills of 2 attempts are missing" in told
    assert "cpu-basic $0.0018 reserved now $0.0008 3 5 not known yet" in told
    assert "By team" not in told, "the own one is the only one"
    [path] = [unescape(one) for one in re.findall(r'href="(/usage\?[^"]*group_by=flavor&[^"]*)"', unescape(html))]
    assert api("GET", path).text.splitlines()[1].startswith("cpu-basic,3,2,5,0.000835,,,2,0.001837")
    assert "timed out" not in told
    assert "failed: script error" in told
    assert "$0.0005 60 % of what was spent" in told


def test_bills_are_brought_as_a_file_and_are_then_known(api: Api) -> None:
    run_ids = spend(api)
    admin = Visitor(api, "admin")
    rows = "".join(f"{api.world.attempt(one).hub_job_id},0.1\n" for one in run_ids[:2])
    page = f"{MONEY}?team=research"
    sent = {"csrf_token": admin.browser.token(), "back": page}
    files = {"statement": ("bills.csv", f"job_id,cost_usd\n{rows}", "text/csv")}
    admin.browser("POST", "/ui/do/import-bills", data=sent, files=files)
    told = admin.text(page)
    assert "2 rows: 2 are jobs of this service, of which 2 have news" in told
    assert "Billed by Hugging Face: $0.20 (+$0.20 beside what was charged)" in told
    files = {"statement": ("bills.csv", "nothing\n", "text/csv")}
    part = admin.browser("POST", "/ui/do/import-bills", data=sent, files=files, headers={"hx-request": "true"})
    assert part.status_code == 422
    assert "Refused." in part.text


def test_an_admin_sets_grants_and_ends_budgets(api: Api) -> None:
    admin, page = Visitor(api, "admin"), f"{MONEY}?team=other"
    admin.press(page, "set-team-budget", period="week", limit_usd="5", thresholds="80, 100", hard="no")
    found = budget(api, "/teams/other/budget", period="week")
    assert (found["limit_usd"], found["hard"], found["thresholds"]) == (5, False, [80, 100])
    admin.press(page, "set-team-budget", period="week", limit_usd="6", thresholds="", hard="yes")
    found = budget(api, "/teams/other/budget", period="week")
    assert (found["limit_usd"], found["hard"], found["thresholds"]) == (6, True, [])
    admin.press(page, "grant-team-budget", amount_usd="2.5", comment="a deadline")
    assert budget(api, "/teams/other/budget", period="week")["granted_usd"] == 2.5
    assert "Granted, for this window alone: 8.5 dollars are left in it." in admin.text(page)
    admin.press(page, "end-team-budget")
    assert api("GET", "/teams/other/budget?period=week", as_="admin").status_code == 404
    admin.press(MONEY, "set-organisation-budget", period="month", limit_usd="50")
    admin.press(MONEY, "grant-organisation-budget", amount_usd="1")
    assert budget(api, "/organisation/budget")["granted_usd"] == 1
    admin.press(MONEY, "end-organisation-budget")
    assert api("GET", "/organisation/budget", as_="admin").status_code == 404


def test_a_lead_sets_what_users_of_the_team_may_spend_and_nothing_above(api: Api) -> None:
    lead = Visitor(api)
    lead.press(MONEY, "set-team-budget", user="member", period="month", limit_usd="3")
    assert budget(api, user="member")["limit_usd"] == 3
    lead.press(MONEY, "grant-team-budget", user="member", amount_usd="1")
    assert budget(api, user="member")["granted_usd"] == 1
    assert Visitor(api, "member").text(MONEY).startswith("Money")
    html = lead.html(MONEY)
    assert html.count("End this budget") == 1, "of the user's budget alone"
    assert "import-bills" not in html


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_who_may_change_nothing_has_no_form(api: Api, role: str) -> None:
    html = Visitor(api, role).html(MONEY)
    assert "/ui/do/" not in html
    assert "did not come through the gate" not in html


def test_admins_see_each_team_and_what_came_past_the_gate(api: Api) -> None:
    told = Visitor(api, "admin").text(MONEY)
    assert "The organisation has no budget of its own What binds are the teams' budgets." in told
    assert "research, this month hard $0.10 of $0.10" in told
    assert "No job was found that no run accounts for." in told


def test_names_are_text_and_never_markup(api: Api) -> None:
    name = "<img src=x onerror=alert(1)>"
    api("PUT", f"/teams/research/users/{name}", as_="lead", json={"shut_out": False})
    api("PUT", "/teams/research/budget", as_="admin", params={"user": name}, json={"limit_usd": 1})
    html = Visitor(api).html(MONEY)
    assert "<img" not in html
    assert "&lt;img" in html
