"""Sweeps over HTTP, with the real steps: points become runs, share one cap, fall behind, and the best is named."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import select

from service.flow import compare
from service.store.tables import Budget, Event, Run
from tests.api.conftest import Api

# A script whose job says three evaluations, as the points have them.
LOG = "\n".join(f"{{'eval_loss': {{{{l{step}}}}}, 'step': {step}}}" for step in (1, 2, 3))
RUN = {
    "recipe": {"kind": "script", "source": "print(1)"},
    "flavor": "cpu-basic",
    "timeout": "10m",
    "env": {"SANDBOX_LOG": LOG, "SANDBOX_RUN_SECONDS": "200"},
}
# at 10,000 micro-dollars per hour the ceiling of eleven minutes
CEILING = 0.00187
BETTER = {"l1": 2.0, "l2": 1.5, "l3": 1.25}
WORSE = {"l1": 3.0, "l2": 2.5, "l3": 2.25}
TRL = {
    "recipe": {
        "kind": "trl_sft",
        "model_name_or_path": "acme/tiny-smollm3",
        "dataset_name": "acme/tiny-chat-data",
        "args": {"max_steps": 20},
    },
    "flavor": "a10g-small",
    "timeout": "10m",
    "output_repo": "acme/swept-{{point}}",
}


def make(api: Api, as_: str = "member", **fields: Any) -> dict[str, Any]:
    body = {"name": "losses", "run": RUN, "points": [BETTER, WORSE], "max_cost_usd": 1, **fields}
    answer = api("POST", "/sweeps", as_=as_, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def read(api: Api, sweep: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api("GET", f"/sweeps/{sweep['id']}").json()
    return found


def until(api: Api, sweep: dict[str, Any], most: int = 200) -> dict[str, Any]:
    """Turn the clock and let the steps run until it has ended."""
    for _ in range(most):
        api.world.pass_all()
        compare.run_once(api.world.gate)
        if (now := read(api, sweep))["is_terminal"]:
            return now
        api.world.clock.turn(seconds=5)
    raise AssertionError(now)


def runs(api: Api) -> list[Run]:
    with api.world.db.read() as session:
        return list(session.exec(select(Run)))


def test_a_grid_becomes_runs_with_each_value_in_its_place(api: Api) -> None:
    api.world.budget(10_000_000)
    made = make(api, run=TRL, points=None, grid={"learning_rate": [1e-5, 5e-5], "lora.r": [8, 16]}, max_parallel=2)
    assert (made["object"], made["state"], made["is_terminal"]) == ("sweep", "running", False)
    assert made["states"] == {"queued": 4}
    assert made["budget"] == f"research/{made['id']}/total"
    assert [point["parameters"] for point in made["points"]] == [
        {"learning_rate": 1e-5, "lora.r": 8},
        {"learning_rate": 1e-5, "lora.r": 16},
        {"learning_rate": 5e-5, "lora.r": 8},
        {"learning_rate": 5e-5, "lora.r": 16},
    ]
    assert [point["output_repo"] for point in made["points"]] == [f"acme/swept-{number}" for number in (1, 2, 3, 4)]
    run = api("GET", f"/runs/{made['points'][3]['run_id']}").json()
    assert run["origin"] == made["id"]
    assert run["requested_by"] == "member"
    assert run["recipe"]["args"] == {"max_steps": 20, "learning_rate": 5e-5}
    assert run["recipe"]["lora"]["r"] == 16
    assert read(api, made) == made
    listed = api("GET", "/sweeps", as_="viewer").json()["data"]
    assert listed == [{name: made[name] for name in made if name not in ("points", "rungs")}]
    assert api("GET", "/sweeps", as_="outsider").json()["data"] == []
    assert api("GET", f"/sweeps/{made['id']}", as_="outsider").status_code == 404


def test_the_best_is_named_with_what_each_point_cost(api: Api) -> None:
    made = make(api)
    ended = until(api, made)
    assert (ended["state"], ended["states"]) == ("ended", {"succeeded": 2})
    assert [point["eval_loss"] for point in ended["points"]] == [1.25, 2.25]
    assert [point["evaluations"] for point in ended["points"]] == [3, 3]
    assert [point["is_best"] for point in ended["points"]] == [True, False]
    assert ended["best"]["run_id"] == made["points"][0]["run_id"]
    assert ended["best"]["parameters"] == BETTER
    costs = [point["charged_usd"] for point in ended["points"]]
    assert all(costs)
    assert ended["cost"]["charged_usd"] == pytest.approx(sum(costs))
    assert ended["cost"]["reserved_usd"] == 0
    with api.world.db.read() as session:
        [event] = [one for one in session.exec(select(Event)) if one.type == "sweep.ended"]
    assert event.data["best"] == ended["best"]
    assert event.data["states"] == {"succeeded": 2}
    # its budget binds nothing any more, and its name is free
    assert not any(one["origin"] == made["id"] for one in api("GET", "/budgets").json()["data"])
    assert make(api)["id"] != made["id"]


def test_points_that_fall_behind_are_stopped_and_their_money_is_the_sweeps_again(api: Api) -> None:
    made = make(api, points=[WORSE, BETTER], early_stopping={"factor": 2})
    assert made["early_stopping"] == {"factor": 2, "first_evaluation": 1}
    assert made["rungs"] == [{"evaluations": 1, "goes_on": 1, "reached": 0}]
    ended = until(api, made)
    worse, better = ended["points"]
    assert (worse["state"], worse["reason"]) == ("cancelled", "stopped_early")
    why = "point 1: after its first evaluation its loss 3 is in place 2 of 2, and the best goes on"
    assert worse["message"].startswith(f"{why}; it cost $")
    assert worse["evaluations"] < 3
    assert better["state"] == "succeeded"
    assert ended["rungs"] == [{"evaluations": 1, "goes_on": 1, "reached": 2}]
    assert worse["at_rungs"] == {"1": 3.0}
    assert worse["charged_usd"] < better["charged_usd"]
    assert ended["cost"]["reserved_usd"] == 0
    kinds = [kind for kind, _ in api.world.entries(worse["run_id"])]
    assert kinds == ["reserve", "charge", "release"]


def test_no_more_of_its_runs_are_active_than_it_says(api: Api) -> None:
    made = make(api, points=[{**BETTER, "l1": loss} for loss in (1, 2, 3)], max_parallel=1)
    most = 0
    for _ in range(40):
        api.world.pass_all()
        most = max(most, sum(run.state in ("submitting", "starting", "running") for run in runs(api)))
        api.world.clock.turn(seconds=5)
    assert most == 1
    waiting = [point for point in read(api, made)["points"] if point["state"] == "queued"]
    assert waiting
    assert waiting[0]["reason"] == "waiting_for_slot"
    changed = api("PATCH", f"/sweeps/{made['id']}", json={"max_parallel": 3})
    assert changed.json()["max_parallel"] == 3
    api.world.pass_all()
    assert not [point for point in read(api, made)["points"] if point["state"] == "queued"]


def test_together_they_never_cost_more_than_the_cap_and_what_it_cannot_reach_is_ended(api: Api) -> None:
    points = [{**BETTER, "l1": loss} for loss in (1, 2, 3)]
    made = make(api, points=points, max_cost_usd=2 * CEILING)
    cap = made["cost"]["max_cost_usd"]
    ceiling = made["points"][0]["ceiling_usd"]
    assert cap < 3 * ceiling
    api.world.pass_all()
    now = read(api, made)
    assert sorted(point["state"] for point in now["points"]).count("queued") == 1
    assert now["points"][2]["reason"] == "waiting_for_budget"
    assert now["cost"]["reserved_usd"] <= cap
    ended = until(api, made)
    assert ended["cost"]["charged_usd"] <= cap
    # what the first two gave back was enough for the third
    assert ended["states"] == {"succeeded": 3}


def test_a_point_that_the_money_does_not_reach_any_more_is_not_waited_for(api: Api) -> None:
    points = [{**BETTER, "l1": loss} for loss in (1, 2)]
    run = {**RUN, "env": {**RUN["env"], "SANDBOX_RUN_SECONDS": "590"}}
    made = make(api, run=run, points=points, max_cost_usd=CEILING)
    ended = until(api, made)
    first, second = ended["points"]
    assert first["state"] == "succeeded"
    assert (second["state"], second["reason"]) == ("cancelled", "sweep_spent")
    assert "are spent" in second["message"]
    assert ended["cost"]["charged_usd"] <= ended["cost"]["max_cost_usd"]


def test_more_money_lets_a_waiting_point_start(api: Api) -> None:
    made = make(api, max_cost_usd=CEILING)
    api.world.pass_all()
    assert read(api, made)["states"] == {"running": 1, "queued": 1}
    answer = api("PATCH", f"/sweeps/{made['id']}", json={"max_cost_usd": 1, "name": "more"})
    assert answer.json()["cost"]["max_cost_usd"] == 1
    assert answer.json()["name"] == "more"
    api.world.pass_all()
    assert "queued" not in read(api, made)["states"]


def test_a_sweep_is_cancelled_whole_and_names_what_it_has(api: Api) -> None:
    made = make(api, max_parallel=1)
    for _ in range(30):
        api.world.pass_all()
        api.world.clock.turn(seconds=10)
    assert read(api, made)["points"][0]["state"] == "succeeded"
    answer = api("POST", f"/sweeps/{made['id']}/cancel")
    assert answer.json()["cancelled_by"] == "member"
    assert api("POST", f"/sweeps/{made['id']}/cancel").status_code == 200
    ended = until(api, made)
    assert (ended["state"], ended["states"]) == ("cancelled", {"succeeded": 1, "cancelled": 1})
    assert ended["best"]["number"] == 1
    assert api("POST", f"/sweeps/{made['id']}/cancel").status_code == 409
    assert api("PATCH", f"/sweeps/{made['id']}", json={"max_parallel": 1}).status_code == 409


def test_what_follows_a_point_is_paid_from_the_cap_and_waited_for(api: Api) -> None:
    api.world.budget(10_000_000)
    made = make(api, run={**TRL, "then": [{"kind": "smoke_test"}]}, points=[{"learning_rate": 1e-5}])
    with api.world.db.read() as session:
        children = [run for run in session.exec(select(Run)) if run.parent == made["points"][0]["run_id"]]
    assert [child.origin for child in children] == [made["id"]]


def test_without_an_evaluation_there_is_no_best(api: Api) -> None:
    run = {**RUN, "env": {"SANDBOX_RUN_SECONDS": "5"}, "labels": {"lr": "{{lr}}"}}
    ended = until(api, make(api, run=run, points=[{"lr": 1}, {"lr": 2}]))
    assert ended["best"] is None
    assert ended["states"] == {"succeeded": 2}


def test_a_loss_that_is_no_number_is_the_worst(api: Api) -> None:
    run = {
        **RUN,
        "env": {**RUN["env"], "SANDBOX_LOG": "{'eval_loss': {{l}}, 'step': 1}\n{'eval_loss': {{l}}, 'step': 2}"},
    }
    ended = until(api, make(api, run=run, points=[{"l": "nan"}, {"l": 5.0}], early_stopping={}))
    assert [point["state"] for point in ended["points"]] == ["cancelled", "succeeded"]
    assert ended["points"][0]["at_rungs"] == {"1": None}
    assert ended["points"][0]["eval_loss"] is None
    assert ended["best"]["number"] == 2


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"points": None}, "grid", "give one of"),
        ({"grid": {"l1": [1]}}, "grid", "give one of"),
        ({"points": [BETTER, BETTER]}, "points.1", "points 1 and 2 are the same"),
        ({"points": None, "grid": {"l1": [1, 1], "l2": [1], "l3": [1]}}, "grid", "are the same"),
        ({"points": None, "grid": {"l1": []}}, "grid.l1", ""),
        ({"points": [{**BETTER, "lr": 3}]}, "points.0.lr", "nothing in the run takes 'lr'"),
        ({"points": [{"l1": 1}, BETTER]}, "run", "no placeholder '{{l2}}'"),
        ({"points": [{**BETTER, "l1": {"a": 1}}]}, "points.0.l1", "a value is a text"),
        ({"points": [{**BETTER, "l1": None}]}, "points.0.l1", "a value is a text"),
        ({"max_cost_usd": None}, "max_cost_usd", ""),
        ({"max_parallel": 0}, "max_parallel", ""),
        ({"early_stopping": {"factor": 1}}, "early_stopping.factor", ""),
        ({"max_cost_usd": 0.0001}, "max_cost_usd", "can never hold more"),
        ({"points": [{"point": 1, **BETTER}]}, "points.0.point", "is filled in by the service"),
        ({"run": {**RUN, "flavor": "cpu-bsic"}}, "run.flavor", "cpu-bsic"),
        ({"run": {**RUN, "on_behalf_of": "ben"}}, "run.on_behalf_of", "cannot be given in a template"),
        ({"run": {**RUN, "output_repo": "acme/one"}}, "run.output_repo", "into the same repository"),
        ({"run": TRL, "points": [{"learning_rate": "much"}]}, "points.0.learning_rate", ""),
        ({"run": TRL, "points": [{"lerning_rate": 1}]}, "points.0.lerning_rate", "nothing in the run takes"),
        ({"run": TRL, "points": [{"learning_rate": 1e-5}], "early_stopping": {}}, "early_stopping", "makes none"),
    ],
)  # fmt: skip
def test_what_cannot_come_true_is_refused_whole_with_its_place(
    api: Api, changes: dict[str, Any], field: str, said: str
) -> None:
    api.world.budget(10_000_000)
    body = {"name": "losses", "run": RUN, "points": [BETTER, WORSE], "max_cost_usd": 1, **changes}
    answer = api("POST", "/sweeps", json=body)
    told = answer.json()
    assert answer.status_code == 422, told
    assert told["field"] == field, told
    assert told["errors"][0]["field"] == field
    assert said in told["detail"], told
    assert told["remedy"]
    assert runs(api) == []
    assert api("GET", "/sweeps").json()["data"] == []
    with api.world.db.read() as session:
        assert not [budget for budget in session.exec(select(Budget)) if budget.origin is not None]


def test_the_same_request_under_its_key_makes_one_sweep(api: Api) -> None:
    body = {"name": "losses", "run": RUN, "points": [BETTER, WORSE], "max_cost_usd": 1}
    key = {"idempotency-key": "sweep-1"}
    first = api("POST", "/sweeps", json=body, headers=key)
    again = api("POST", "/sweeps", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    until(api, first.json())
    assert api("POST", "/sweeps", json=body, headers=key).json()["state"] == "ended"
    other = api("POST", "/sweeps", json={**body, "max_cost_usd": 2}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert api("POST", "/runs", json={**RUN, "env": {}}, headers=key).json()["code"] == "idempotency_key_reused"
    assert len(runs(api)) == 2


def test_a_point_that_has_failed_keeps_no_other_from_going_on(api: Api) -> None:
    fails = {**RUN, "env": {**RUN["env"], "SANDBOX_EXIT_CODE": "{{code}}", "SANDBOX_RUN_SECONDS": "{{seconds}}"}}
    points = [{**BETTER, "code": 1, "seconds": 30}, {**WORSE, "code": 0, "seconds": 200}]
    ended = until(api, make(api, run=fails, points=points, max_parallel=1, early_stopping={}))
    assert [point["state"] for point in ended["points"]] == ["failed", "succeeded"]
    assert ended["best"]["number"] == 2


def test_a_cap_that_would_end_a_waiting_point_is_refused(api: Api) -> None:
    made = make(api, max_parallel=1)
    api.world.pass_all()
    answer = api("PATCH", f"/sweeps/{made['id']}", json={"max_cost_usd": 0.0005})
    assert (answer.status_code, answer.json()["field"]) == (422, "max_cost_usd")
    assert "a point that waits may cost" in answer.json()["detail"]
    assert api("PATCH", f"/sweeps/{made['id']}", json={"max_parallel": None}).json()["max_parallel"] is None


def test_its_runs_are_listed_by_their_origin(api: Api) -> None:
    made = make(api)
    api("POST", "/runs", json={**RUN, "env": {}})
    listed = api("GET", f"/runs?origin={made['id']}").json()["data"]
    assert {run["id"] for run in listed} == {point["run_id"] for point in made["points"]}


def test_a_sweep_says_how_far_it_is_and_why_no_point_is_best(api: Api) -> None:
    made = make(api)
    assert made["message"] == "0 of 2 points have ended; none of them has said an eval_loss"
    assert until(api, made)["message"] == "2 of 2 points have ended; the best is point 1, with a loss of 1.25"


def test_a_name_is_taken_while_the_sweep_goes_on(api: Api) -> None:
    made = make(api)
    answer = api("POST", "/sweeps", json={"name": "losses", "run": RUN, "points": [BETTER], "max_cost_usd": 1})
    assert answer.status_code == 409
    assert made["id"] in answer.json()["remedy"]


def test_members_change_their_own_and_leads_all(api: Api) -> None:
    made = make(api, as_="lead")
    assert api("PATCH", f"/sweeps/{made['id']}", json={"max_parallel": 1}).status_code == 403
    assert api("POST", f"/sweeps/{made['id']}/cancel").status_code == 403
    assert api("PATCH", f"/sweeps/{made['id']}", as_="lead", json={"max_parallel": 1}).status_code == 200


def test_a_value_of_the_wrong_form_is_told_with_its_point(api: Api) -> None:
    run = {**RUN, "timeout": "{{minutes}}m", "env": {}}
    body = {"name": "minutes", "run": run, "points": [{"minutes": 5}, {"minutes": 0.5}], "max_cost_usd": 1}
    answer = api("POST", "/sweeps", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "run.timeout")
    assert answer.json()["point"] == {"number": 2, "parameters": {"minutes": 0.5}}
    assert runs(api) == []
