"""`/ui/automation` and a sweep's page: what makes runs by itself, as the API has it, with buttons for whose it is."""

from __future__ import annotations

import re
from typing import Any

import pytest

from service.flow import schedule as schedule_step
from service.flow import trigger as trigger_step
from service.web.run_words import linked
from service.web.sweep_page import headline, rung_in_words
from tests.api.conftest import Api
from tests.api.test_sweeps import BETTER, WORSE, until
from tests.api.test_sweeps import make as make_sweep
from tests.api.test_triggers import make as make_trigger
from tests.api.test_triggers import push
from tests.web.page import Visitor, words

PAGE = "/ui/automation"
RUN = {"recipe": {"kind": "script", "source": "print(1)"}, "flavor": "cpu-basic", "timeout": "10m"}


def make_schedule(api: Api, as_: str = "member", **fields: Any) -> dict[str, Any]:
    body = {"name": "nightly", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "run": RUN, **fields}
    answer = api("POST", "/schedules", as_=as_, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def row(html: str, origin_id: str) -> str:
    """The line of one of them."""
    found = re.search(rf'<tr id="{origin_id}">.*?</tr>', html, re.S)
    assert found is not None, origin_id
    return found[0]


def test_without_any_it_says_what_there_could_be(api: Api) -> None:
    told = Visitor(api).text(PAGE)
    assert "Nothing makes runs by itself now A schedule makes runs by the clock" in told
    assert "tunegate sweeps make sweep.yaml" in told
    assert "tunegate sweeps make" not in Visitor(api, "viewer").text(PAGE)


def test_a_schedule_has_its_next_time_and_what_came_of_the_last(api: Api) -> None:
    made = make_schedule(api)
    other = make_schedule(api, name="often", cron=None, every="6h", run={**RUN, "labels": {"at": "{{date}}"}})
    html = Visitor(api).html(PAGE)
    assert words(row(html, made["id"])).startswith("nightly 30 2 * * * in Europe/Berlin runs of member 2026-")
    assert "01:30 UTC then" in words(row(html, made["id"])), "told in UTC, whatever the schedule's zone"
    assert "its first time is to come" in words(row(html, made["id"]))
    assert "every 6 h" in words(row(html, other["id"]))
    assert "No sweep under way, 2 schedules, 0 triggers Next is often , at" in words(html)
    api.world.clock.turn(seconds=6 * 3600 + 1)
    assert schedule_step.run_once(api.world.gate) == 1
    run_id = api("GET", f"/schedules/{other['id']}").json()["last"]["run_id"]
    assert f'made <a class="run" href="/ui/runs/{run_id}"' in row(Visitor(api).html(PAGE), other["id"])
    api.world.clock.turn(seconds=6 * 3600 + 1)
    schedule_step.run_once(api.world.gate)
    last = api("GET", f"/schedules/{other['id']}").json()["last"]
    assert last["outcome"] == "skipped"
    assert "skipped : " in words(row(Visitor(api).html(PAGE), other["id"]))
    told = Visitor(api).html(f"/ui/runs/{run_id}")
    assert f'<dt>made by</dt><dd><a href="/ui/automation#{other["id"]}">often</a> <small>schedule</small></dd>' in told
    api("DELETE", f"/schedules/{other['id']}")
    assert f"made by {other['id']} schedule, removed" in Visitor(api).text(f"/ui/runs/{run_id}")


def test_a_schedule_is_paused_resumed_and_run_by_its_buttons(api: Api) -> None:
    made = make_schedule(api)
    lead = Visitor(api)
    answer = lead.press(PAGE, "pause-schedule", origin_id=made["id"])
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    html = lead.html(PAGE)
    assert "It makes no runs until it is resumed." in words(html)
    assert "paused by lead" in words(row(html, made["id"]))
    lead.press(PAGE, "resume-schedule", origin_id=made["id"])
    assert api("GET", f"/schedules/{made['id']}").json()["paused_at"] is None
    answer = lead.press(PAGE, "run-schedule", origin_id=made["id"])
    run = api("GET", answer.headers["location"].removeprefix("/ui")).json()
    assert run["origin"] == made["id"]


def test_a_trigger_has_its_commit_and_looks_at_once(api: Api) -> None:
    made = make_trigger(api)
    lead = Visitor(api)
    assert "chats dataset acme/chats runs of member once the Hub tells of a commit the Hub has told of none" in words(
        row(lead.html(PAGE), made["id"])
    )
    revision = push(api, b"{}")
    lead.press(PAGE, "run-trigger", origin_id=made["id"])
    assert "acme/chats is looked at now." in lead.text(PAGE)
    assert trigger_step.run_once(api.world.gate) == 1
    assert f"{revision[:12]} made …" in words(row(lead.html(PAGE), made["id"]))
    lead.press(PAGE, "pause-trigger", origin_id=made["id"])
    assert "paused by lead" in words(row(lead.html(PAGE), made["id"]))


def test_a_sweep_has_a_page_with_its_points_side_by_side(api: Api) -> None:
    made = make_sweep(api, points=[WORSE, BETTER], early_stopping={"factor": 2})
    path, lead = f"{PAGE}/sweeps/{made['id']}", Visitor(api)
    told = lead.text(path)
    assert "0 of 2 points have ended; none of them has said an eval_loss. Under way: 0, waiting: 2." in told
    assert "After the first evaluation the best goes on: none of 2 came to it so far." in told
    ended = until(api, made)
    html = lead.html(path)
    told = words(html)
    assert "2 of 2 points have ended; the best is point 2, with a loss of 1.25." in told
    assert "the best goes on: 2 of 2 came to it." in told
    assert "Cancel" not in told
    worse, better = (words(row(html, f"point-{number}")) for number in (1, 2))
    assert worse.startswith("point 1 l1 3, l2 2.5, l3 2.25 cancelled point 1: after its first evaluation its loss 3")
    assert "The best. " in better
    assert "after evaluation 1: 2" in better
    assert "1.25 at step 3" in better
    for point in ended["points"]:
        assert f'href="/ui/runs/{point["run_id"]}"' in html
    listed = words(row(lead.html(PAGE), made["id"]))
    assert listed.startswith(
        "losses runs of member ended point 2 , loss 1.25 l1 2, l2 1.5, l3 1.25 1 cancelled, 1 succeeded $"
    )
    assert f'<a href="{path}">losses</a> <small>sweep</small>' in lead.html(f"/ui/runs/{ended['points'][0]['run_id']}")


def test_a_sweep_is_cancelled_by_its_button(api: Api) -> None:
    made = make_sweep(api)
    path, lead = f"{PAGE}/sweeps/{made['id']}", Visitor(api)
    lead.press(path, "cancel-sweep")
    told = lead.text(path)
    assert "Its runs are asked to end." in told
    until(api, made)
    assert "Cancelled by lead. 2 of 2 points have ended; none of them has said an eval_loss" in lead.text(path)


def test_only_leads_and_whose_it_is_have_buttons(api: Api) -> None:
    make_schedule(api, as_="lead")
    mine = make_schedule(api, name="mine")
    sweep = make_sweep(api, as_="lead")
    assert Visitor(api).html(PAGE).count("/ui/do/pause-schedule") == 4, "each form names it twice"
    html = Visitor(api, "member").html(PAGE)
    assert html.count("/ui/do/pause-schedule") == 2
    assert "/ui/do/" in row(html, mine["id"])
    assert "/ui/do/" not in Visitor(api, "viewer").html(PAGE)
    assert "/ui/do/" not in Visitor(api, "member").html(f"{PAGE}/sweeps/{sweep['id']}")


def test_another_teams_are_not_shown(api: Api) -> None:
    made, sweep = make_schedule(api), make_sweep(api)
    html = Visitor(api, "outsider").html(PAGE)
    assert made["id"] not in html
    assert sweep["id"] not in html
    Visitor(api, "outsider").html(f"{PAGE}/sweeps/{sweep['id']}", 404)
    assert "runs of member · research" in Visitor(api, "admin").text(PAGE)


def test_older_sweeps_are_on_further_pages(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.web.automation.PAGE", 1)
    first, second = make_sweep(api), make_sweep(api, name="later")
    html = Visitor(api).html(PAGE)
    assert second["id"] in html
    assert first["id"] not in html
    [following] = re.findall(rf'href="({PAGE}\?after=[^"]+)"', html)
    assert first["id"] in Visitor(api).html(following)


def test_ids_in_sentences_lead_to_what_has_them() -> None:
    for kind, path in (("swp", f"{PAGE}/sweeps/"), ("sch", f"{PAGE}#"), ("run", "/ui/runs/")):
        one = f"{kind}_01M8PJQBF0SN388SFRWHD3QNFD"
        assert f'href="{path}{one}" title="{one}">…D3QNFD</a> are active' in linked(f"3 of 3 runs of {one} are active")


def test_words_of_a_sweep() -> None:
    going = {"message": "1 of 3 points have ended", "is_terminal": False, "cancelled_at": None, "cancelled_by": None}
    told = headline({**going, "states": {"running": 1, "queued": 1, "cancelled": 1}})
    assert told == "1 of 3 points have ended. Under way: 1, waiting: 1."
    ending = {**going, "cancelled_at": "2026-11-30T12:00:00Z", "cancelled_by": "alice"}
    assert headline(ending) == "Being cancelled by alice. 1 of 3 points have ended."
    rung = {"evaluations": 3, "goes_on": 2, "reached": 5}
    sweep = {"points": [{}] * 9, "is_terminal": False}
    assert rung_in_words(rung, sweep) == "After 3 evaluations the best 2 go on: 5 of 9 came to it so far."
