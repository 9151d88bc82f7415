"""`/` and `/ui/runs`: one sentence, and every run with its reason, as the API has them."""

from __future__ import annotations

from tests.api.conftest import Api
from tests.api.test_runs import BODY
from tests.api.test_sign_in import Browser
from tests.web.page import Visitor, words


def submit(api: Api, **fields: object) -> str:
    answer = api("POST", "/runs", json={**BODY, **fields})
    assert answer.status_code == 201, answer.text
    run_id: str = answer.json()["id"]
    return run_id


def test_an_empty_queue_says_how_the_first_run_is_made(api: Api) -> None:
    told = Visitor(api).text("/")
    assert "Nothing runs, nothing waits" in told
    assert "tunegate submit --model" in told
    assert "With a key of the team research" in told


def test_each_run_has_its_reason_in_words_and_its_place(api: Api) -> None:
    lead = Visitor(api)
    api("DELETE", "/teams/research/budget?period=month", as_="admin")
    first = submit(api, output_repo="acme/first-model")
    api.world.pass_all()
    told = lead.text("/")
    assert "1 waiting" in told
    assert "first-model" in told
    assert "waiting for money" in told, "without a budget"
    assert api("GET", "/queue").json()["data"][0]["message"] in told
    api("PUT", "/teams/research/budget", as_="admin", json={"limit_usd": 5})
    api.world.pass_all()
    told = lead.text("/")
    assert "0 waiting" in told
    run = api("GET", f"/runs/{first}").json()
    assert f"of ${run['cost']['ceiling_usd']:.2f}" in told or f"of ${run['cost']['ceiling_usd']:.4f}" in told


def test_another_teams_runs_are_not_shown(api: Api) -> None:
    submit(api, output_repo="acme/first-model")
    assert "first-model" in Visitor(api).text("/")
    assert "first-model" not in Visitor(api, "outsider").text("/")
    assert "first-model" not in Visitor(api, "outsider").text("/ui/runs")


def test_buttons_do_what_the_api_does_and_tell_it_once(api: Api) -> None:
    lead = Visitor(api)
    answer = lead.press("/", "pause-team")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert api("GET", "/teams/research").json()["paused"] is True
    assert "Nothing of the team starts now." in lead.text("/")
    assert "Nothing of the team starts now." not in lead.text("/")
    [entry] = [one for one in api("GET", "/audit", as_="lead").json()["data"] if one["action"].endswith("/pause")]
    assert (entry["actor"], entry["address"]) == ("lead", "testclient")


def test_a_form_of_another_site_does_nothing(api: Api) -> None:
    lead = Visitor(api)
    answer = lead.browser("POST", "/ui/do/pause-team", data={"team": "research", "csrf_token": "0" * 64, "back": "/"})
    assert answer.status_code == 303
    assert "a session changes something only with its token" in lead.text("/")
    assert api("GET", "/teams/research").json()["paused"] is False


def test_a_refusal_is_told_where_the_form_is(api: Api) -> None:
    viewer = Visitor(api, "viewer")
    token = viewer.browser.token()
    sent = {"team": "research", "csrf_token": token, "back": "//evil.example/"}
    answer = viewer.browser("POST", "/ui/do/pause-team", data=sent)
    assert answer.headers["location"] == "/", "never to another site"
    assert "this needs the role 'lead'" in viewer.text("/")
    part = viewer.browser("POST", "/ui/do/pause-team", data=sent, headers={"hx-request": "true"})
    assert part.status_code == 403
    assert "this needs the role 'lead'" in words(part.text)
    assert "<html" not in part.text
    assert (
        "nothing here is called"
        in viewer.browser("POST", "/ui/do/nothing", data=sent, headers={"hx-request": "true"}).text
    )


def test_who_is_not_signed_in_signs_in_and_goes_on_to_the_page(api: Api) -> None:
    browser = Browser(api)
    answer = browser("GET", "/ui/runs?state=failed")
    assert answer.headers["location"] == "/sign-in?next=/ui/runs%3Fstate%3Dfailed"
    answer = browser("POST", answer.headers["location"], data={"key": api.keys["lead"]})
    assert answer.headers["location"] == "/ui/runs?state=failed"
    away = Browser(api)("POST", "/sign-in?next=https://evil.example/", data={"key": api.keys["lead"]})
    assert away.headers["location"] == "/"


def test_the_list_is_narrowed_by_state_label_and_id(api: Api) -> None:
    lead = Visitor(api)
    one = submit(api, output_repo="acme/one-model", labels={"project": "bot"})
    submit(api, output_repo="acme/other-model")
    assert {"one-model", "other-model"} <= set(lead.text("/ui/runs").split())
    assert "other-model" not in lead.text("/ui/runs?find=project%3Dbot")
    assert "No run is like that" in lead.text("/ui/runs?state=succeeded")
    assert lead.browser("GET", f"/ui/runs?find={one}").headers["location"] == f"/ui/runs/{one}"
    for name in ("one-model", "acme/one-model"):
        told = lead.text(f"/ui/runs?find={name}")
        assert "one-model" in told
        assert "other-model" not in told
    for name in ("one", "%25-model", "_ne-model"):
        assert "No run is like that" in lead.text(f"/ui/runs?find={name}"), "the whole name, and no pattern"


def test_what_is_no_page_is_told_as_a_page(api: Api) -> None:
    assert "there is no page /ui/nothing" in Visitor(api).text("/ui/nothing", 404)
    assert Browser(api)("GET", "/ui/nothing").headers["location"] == "/sign-in?next=/ui/nothing"
