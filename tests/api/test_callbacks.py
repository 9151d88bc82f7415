"""A script's job reports its progress to the URL that it was given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.flow import callback
from tests.api.conftest import Api
from tests.flow.conftest import SCRIPT, World


@pytest.fixture
def url(api: Api) -> str:
    """The callback path of a running script's job."""
    api.world.gate = replace(api.world.gate, public_url="https://tunegate.example")
    run_id = api.world.enqueue(recipe=SCRIPT, seconds=300)
    api.world.pass_all()
    api.world.clock.turn(seconds=20)
    api.world.pass_all()
    assert api.world.run(run_id).state == "running"
    return path_of(api.world, run_id)


def path_of(world: World, run_id: str) -> str:
    (job,) = world.jobs_of(run_id)
    given: str = job.spec.secrets[callback.SECRET]
    assert given.startswith("https://tunegate.example/callbacks/")
    return given.removeprefix("https://tunegate.example")


def run_of(url: str) -> str:
    return url.split("/")[2]


def post(api: Api, url: str, body: Any) -> Any:
    return api("POST", url, as_="nobody", json=body)


def test_reports_become_progress_and_series(api: Api, url: str) -> None:
    world, run_id = api.world, run_of(url)
    for step, loss in ((10, 2.5), (20, "nan")):
        world.clock.turn(seconds=10)
        assert (
            post(api, url, {"step": step, "total_steps": 100, "loss": loss, "learning_rate": 1e-5}).status_code == 204
        )
    assert post(api, url, {"eval_loss": 2.25}).status_code == 204
    world.pass_all()
    progress = api("GET", f"/runs/{run_id}").json()["progress"]
    assert (progress["step"], progress["total_steps"], progress["loss"], progress["eval_loss"]) == (20, 100, None, 2.25)
    assert (progress["phase"], progress["eta_seconds"]) == ("train", 80)
    series = api("GET", f"/runs/{run_id}/metrics").json()["data"]
    assert [(point["kind"], point["step"]) for point in series] == [("train", 10), ("train", 20), ("eval", 20)]
    assert (series[0]["numbers"]["loss"], series[1]["not_finite"]) == (2.5, ["loss"])
    world.pass_all()
    assert len(api("GET", f"/runs/{run_id}/metrics").json()["data"]) == 3


def test_the_last_report_of_a_job_that_has_ended_counts_and_none_after_it(api: Api, url: str) -> None:
    world, run_id = api.world, run_of(url)
    world.clock.turn(seconds=10)
    assert post(api, url, {"step": 90, "loss": 0.5}).status_code == 204
    world.clock.turn(seconds=300)
    world.until_end(run_id)
    assert api("GET", f"/runs/{run_id}").json()["progress"]["step"] == 90
    answer = post(api, url, {"step": 91, "loss": 0.4})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_wrong_url_is_none(api: Api, url: str) -> None:
    *start, attempt, token = url.split("/")
    other = callback.token_of(api.world.gate, run_of(url), 2)
    wrong = [(attempt, "0" * 64), (attempt, "\u00e9"), (attempt, token[:-1]), ("2", token), ("2", other), ("1", other)]
    for number, end in wrong:
        answer = post(api, "/".join([*start, number, end]), {"step": 1, "loss": 1.0})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (number, end)
    assert api("GET", url, as_="admin").status_code == 405


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"progress": 3}, "body"),
        ({"loss": [1]}, "loss"),
        ({"loss": "low"}, "loss"),
        ({"loss": 1.0, "is_best": True}, "is_best"),
        ({"loss": 1.0, "step": -1}, "step"),
        ({"loss": 1.0, "step": 1.5}, "step"),
        ({"loss": 1.0, "step": "nan"}, "step"),
        ({"loss": 1.0, "step": 10**21}, "step"),
        ({"loss": 1.0, "step": 9, "total_steps": 8}, "step"),
        ({"loss": 1.0, "x" * 61: 1}, "x" * 60),
        ({"loss": 1.0, **{f"n{index}": 1 for index in range(40)}}, "body"),
    ],
)
def test_a_report_is_numbers_by_known_names(api: Api, url: str, body: dict[str, Any], field: str) -> None:
    answer = post(api, url, body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field)
    assert answer.json()["remedy"]


def test_a_flood_is_stopped_until_it_is_taken_in(api: Api, url: str) -> None:
    for step in range(callback.MOST_WAITING):
        assert post(api, url, {"step": step, "loss": 1.0}).status_code == 204
    answer = post(api, url, {"step": 1000, "loss": 1.0})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert answer.headers["retry-after"] == "5"
    api.world.pass_all()
    assert post(api, url, {"step": 1000, "loss": 1.0}).status_code == 204


def test_only_scripts_get_one_and_only_where_jobs_reach_the_service(api: Api) -> None:
    run_id = api.world.enqueue(recipe=SCRIPT, seconds=300)
    api.world.pass_all()
    (job,) = api.world.jobs_of(run_id)
    assert set(job.spec.secrets) == {"HF_TOKEN"}
