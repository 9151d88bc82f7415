"""Reading many budgets or runs takes no more statements than reading few."""

from __future__ import annotations

from functools import partial

import pytest
from sqlmodel import Session

from benchmarks.statements import recorded
from service.api import money_schemas
from service.flow.admit import Pass, admit
from tests.api.conftest import Api
from tests.factories import make_budget, make_run, make_team
from tests.flow.conftest import World


def add_teams(world: World, first: int, number: int) -> None:
    """Teams with a budget of their own and a run that waits."""

    def work(session: Session) -> None:
        for place in range(first, first + number):
            make_team(session, world.clock.now, f"team-{place:03}", 1_000)
            make_budget(session, world.clock.now, 1_000, team=f"team-{place:03}", period="day", carry_over=True)
            make_run(session, world.clock.now, team=f"team-{place:03}", requested_by=f"key_{place}")

    world.db.write(work)


def statements(api: Api, path: str) -> int:
    with recorded(api.world.db.engine) as sent:
        answer = api("GET", path, as_="admin")
    assert answer.status_code == 200, answer.text
    return sent.count


@pytest.mark.parametrize("path", ["/budgets?limit=200", "/metrics", "/queue?limit=100", "/runs?limit=100"])
@pytest.mark.parametrize("is_new", [False, True], ids=["windows", "no_windows"])
def test_many_cost_no_statement_more_than_few(api: Api, path: str, is_new: bool) -> None:
    add_teams(api.world, 0, 3)
    few, many = [], []
    for found, number in ((few, 0), (many, 30)):
        add_teams(api.world, 100, number)
        if is_new:
            api.world.clock.turn(days=1)
        found.append(statements(api, path))
    assert many == few


def test_the_first_pass_of_a_new_month_opens_all_windows_at_once(world: World) -> None:
    counted = []
    for first, number in ((0, 3), (100, 30)):
        add_teams(world, first, number)
        world.clock.turn(days=31)
        with recorded(world.db.engine) as sent:
            world.db.write(partial(admit, given=Pass(0, {}, world.clock.now)))
        counted.append(sent.count)
    assert counted[1] == counted[0]


def test_budgets_come_in_pages_by_name(api: Api) -> None:
    add_teams(api.world, 0, 2)
    api("PUT", "/organisation/budget", as_="admin", json={"limit_usd": 1})
    names, path = [], "/budgets?limit=2"
    while True:
        page = api("GET", path, as_="admin").json()
        for one in page["data"]:
            money_schemas.BudgetObject.model_validate(one)
        names += [one["name"] for one in page["data"]]
        if not page["has_more"]:
            break
        path = f"/budgets?limit=2&after={page['next']}"
    assert names == [
        "organisation/month", "research/month", "team-000/day", "team-000/month", "team-001/day", "team-001/month",
    ]  # fmt: skip
    mine = api("GET", "/budgets").json()
    assert [one["name"] for one in mine["data"]] == ["organisation/month", "research/month"]
    assert api("GET", "/budgets?after=nonsense!").status_code == 422
