"""`/ui/runs/{id}`: a run in every state, as the API tells it, in words, with the buttons that are for its reader."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from service.flow import guard, tidy
from service.web.run_words import linked
from service.web.wording import address
from tests import published
from tests.api.conftest import Api
from tests.api.test_webhooks import hook, send_all
from tests.flow import test_follow_up, test_pilot
from tests.flow.conftest import World
from tests.flow.test_output import ended, put, started
from tests.flow.test_repair import OOM, sft, until_running
from tests.flow.test_rescue import unpublished
from tests.receiver import Receiver
from tests.web.page import Visitor, words
from tests.web.test_queue import submit

LOG = "\n".join(
    f"{{'loss': '{3 - step / 50:.2f}', 'learning_rate': '5e-05', 'step': {step}, 'total_steps': 100}}"
    for step in range(10, 101, 10)
)


def page(run_id: str, more: str = "") -> str:
    return f"/ui/runs/{run_id}{more}"


def told_of(sentence: str) -> str:
    """As a page shows it: each run that is named is a link with the end of its id."""
    return words(str(linked(sentence)))


def charts(html: str) -> list[dict[str, Any]]:
    return [json.loads(one) for one in re.findall(r'<script type="application/json">(.*?)</script>', html, re.S)]


def train(world: World, seconds: int, turned: int, **fields: Any) -> str:
    """A training that has run for so many seconds."""
    run_id = world.enqueue(seconds=seconds, log=LOG, **fields)
    world.pass_all()
    world.clock.turn(seconds=turned)
    world.pass_all()
    assert world.run(run_id).state == "running"
    return run_id


def test_a_waiting_run_shows_its_gates_and_what_would_help(api: Api) -> None:
    lead = Visitor(api)
    api("PUT", "/teams/research/budget", as_="admin", json={"limit_usd": 2})
    submit(api, flavor="a10g-large", timeout="1h", env={"SANDBOX_RUN_SECONDS": "500"})
    run_id = submit(api, output_repo="acme/tiny", flavor="a10g-large", timeout="1h")
    api.world.pass_all()
    why = api("GET", f"/runs/{run_id}/explain").json()
    told = lead.text(page(run_id))
    assert "waiting for money" in told
    assert f"First in line: {why['message']}" in told
    (shut,) = [gate for gate in why["gates"] if not gate["passed"]]
    assert f"Money of research/month {shut['message']} needs $1.52 has $0.47" in told
    assert f"{len(why['gates']) - 1} gates are open" in told
    for help_ in why["would_help"]:
        assert told_of(help_["change"]) + " : " + told_of(help_["effect"]) in told
    assert "It begins when the job runs." in told
    assert "of at most $1.52" in told
    assert "billed by Hugging Face not known yet" in told
    assert not re.search(r"\b(None|N/A|null|undefined)\b", told)


def test_a_queued_run_is_changed_paused_resumed_and_cancelled_by_its_buttons(api: Api) -> None:
    lead = Visitor(api)
    api("DELETE", "/teams/research/budget?period=month", as_="admin")
    run_id = submit(api)
    path = page(run_id)
    answer = lead.press(path, "change-run", flavor="cpu-upgrade", priority="70", timeout="20m")
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    run = api("GET", f"/runs/{run_id}").json()
    assert (run["flavor"], run["priority"], run["timeout_seconds"]) == ("cpu-upgrade", 70, 1200)
    lead.press(path, "change-run", flavor="cpu-upgrade", priority="soon", timeout="")
    assert re.search(r'class="notice refused" role="status">priority', lead.html(path)), "in the API's words"
    lead.press(path, "pause")
    assert "paused" in lead.text(path)
    lead.press(path, "resume")
    lead.press(path, "cancel")
    api.world.pass_all()
    assert "Cancelled: " in lead.text(path)
    assert "It cost nothing." in lead.text(path)


def test_a_training_tells_when_it_ends_and_when_its_timeout_cuts(api: Api) -> None:
    run_id = train(api.world, 200, 90, timeout="6m")
    html = Visitor(api).html(page(run_id))
    told = Visitor(api).text(page(run_id))
    assert re.search(r"Step 40 of 100, ends at about .* UTC , 2 min before its timeout\.", told), told
    (loss,) = charts(html)
    assert loss["x_is"] == "time"
    assert {row["label"] for row in loss["rows"]} == {"loss", "learning rate"}
    ends, cut = loss["marks"]
    assert (ends["label"], cut["label"]) == ("ends", "timeout")
    assert loss["x"][-1] < ends["x"] <= ends["to"] < cut["x"]
    assert "Loss 2.8 at step 10, 2.2 at step 40 of 100, learning rate 5e-05 by now." in told
    (by_step,) = charts(Visitor(api).html(page(run_id, "?by=step")))
    assert (by_step["x"], by_step["marks"][0]["x"]) == ([10, 20, 30, 40], 100)
    attempt = api("GET", f"/runs/{run_id}").json()["attempts"][0]
    ticks = re.search(r'id="cost" data-minute-usd="([\d.e-]+)" data-since="([^"]+)"', html)
    assert ticks is not None
    assert (float(ticks[1]), ticks[2]) == (attempt["price_per_minute_usd"], attempt["started_at"])
    lines = api("GET", f"/runs/{run_id}/logs").json()["data"]
    assert re.findall(r'class="line" data-number="(\d+)"', html) == [str(one["number"]) for one in lines]
    assert 'data-follow="yes"' in html
    text = Visitor(api).browser("GET", page(run_id, "/log.txt"))
    assert text.headers["content-type"].startswith("text/plain")
    assert text.text.endswith(f"{lines[-1]['line']}\n")


def test_a_training_that_its_timeout_will_cut_says_so(api: Api) -> None:
    run_id = train(api.world, 1000, 480)
    guard.run_once(api.world.gate)
    told = Visitor(api).text(page(run_id))
    assert re.search(r"would end at about .*, but its timeout is at .*: 5 min too early\.", told), told
    assert "Warning: timeout" in told
    (warning,) = api("GET", f"/runs/{run_id}").json()["warnings"]
    assert warning["message"] in told
    assert "attempt 1 started 2026-11-24 12:00 UTC 2026-11-24 12:00 UTC so far warning: timeout" in told


def test_a_failure_has_its_line_its_repair_with_a_price_and_one_button_that_makes_one_run(api: Api) -> None:
    run_id = sft(api.world, log=OOM, exit_code=1, seconds=30)
    api.world.until_end(run_id)
    lead, failure = Visitor(api), api("GET", f"/runs/{run_id}").json()["failure"]
    told = lead.text(page(run_id))
    assert "Failed after 30 s: out of GPU memory." in told
    assert failure["evidence"] in told
    assert "per_device_train_batch_size 8 → 4" in told
    price = f"about ${failure['repair']['expected_usd']:.2f}, at most ${failure['repair']['ceiling_usd']:.2f}"
    assert f"Retry with this change, {price}" in told
    assert "This is quite certain." in told
    once = re.search(r'name="once" value="(\w+)"', lead.html(page(run_id)))
    assert once is not None
    form = {"csrf_token": lead.browser.token(), "back": "/", "run_id": run_id, "with_remedy": "yes", "once": once[1]}
    first, again = (lead.browser("POST", "/ui/do/retry", data=form) for _ in range(2))
    assert first.headers["location"] == again.headers["location"], "pressed twice"
    new = api("GET", first.headers["location"].removeprefix("/ui")).json()
    assert (new["retry_of"], new["recipe"]["args"]["per_device_train_batch_size"]) == (run_id, 4)
    assert "Submitted anew: this is the new run." in lead.text(page(new["id"]))
    differs = lead.text(page(new["id"], f"/diff/{run_id}"))
    assert "recipe.args.per_device_train_batch_size 4 8" in differs
    answer = lead.press(page(run_id), "retry", overrides='{"timeout": "40m"}')
    assert api("GET", answer.headers["location"].removeprefix("/ui")).json()["timeout_seconds"] == 2400
    answer = lead.press(page(run_id), "retry", overrides="no json")
    assert answer.headers["location"] == page(run_id)
    assert "overrides" in lead.text(page(run_id))


def test_attempts_show_what_was_changed_between_them(api: Api) -> None:
    run_id = sft(api.world, log=OOM, exit_code=1, seconds=30, retry={"max_attempts": 2})
    until_running(api.world, run_id, 2)
    told = Visitor(api).text(page(run_id))
    assert "attempt 2 on a10g-large" in told
    assert "Attempt 1 on a10g-large: out of GPU memory after 30 s, $0.03" in told
    assert "per_device_train_batch_size 8 → 4" in told
    assert "Attempt 2 about $" in told
    assert "attempt 1 failed" in told
    assert "attempt 1 $0.03 1 min × $0.0250" in told
    assert "OutOfMemoryError" in Visitor(api).text(page(run_id, "?attempt=1"))
    api.world.until_end(run_id)


def test_what_was_trained_and_not_published_is_rescued_by_a_button(api: Api) -> None:
    run_id = unpublished(api.world)
    lead = Visitor(api)
    assert "a run on cpu-basic publishes what is in acme/tunegate-run_" in lead.text(page(run_id))
    answer = lead.press(page(run_id), "rescue")
    child = api("GET", answer.headers["location"].removeprefix("/ui")).json()
    assert (child["parent"], child["kind"]) == (run_id, "rescue")
    assert "rescue of" in lead.text(page(child["id"]))


def test_a_model_that_is_there_is_linked_checked_and_used(api: Api) -> None:
    run_id = started(api.world)
    put(api.world, published.adapter())
    run = ended(api.world, run_id)
    lead = Visitor(api)
    html, told = lead.html(page(run_id)), lead.text(page(run_id))
    assert (
        "Done after 60 s. acme/model is on the Hub and was checked." in told or "is on the Hub and was checked" in told
    )
    assert f'href="{run["output"]["url"]}"' in html
    assert all(check["message"] in told for check in run["output"]["checks"])
    assert "PeftModel" in told
    assert run["output"]["use"]["download"] in told
    lead.press(page(run_id), "follow", then="smoke_test")
    (child,) = api("GET", f"/runs/{run_id}").json()["follow_ups"]
    assert child["kind"] == "smoke_test"
    assert f'href="/ui/runs/{child["run_id"]}"' in lead.html(page(run_id))


def test_what_was_sent_of_it_is_listed(api: Api) -> None:
    with Receiver() as receiver:
        run_id = submit(api, webhooks=[hook(receiver)])
        send_all(api)
    told = Visitor(api, "viewer").text(page(run_id))
    assert f"Webhooks sent queued {receiver.url}" in told


def test_another_teams_run_is_not_there_and_a_viewer_has_no_buttons(api: Api) -> None:
    run_id = submit(api)
    assert "There is nothing here" in Visitor(api, "outsider").text(page(run_id), 404)
    assert "There is nothing here" in Visitor(api).text(page("run_nobody"), 404)
    assert Visitor(api, "outsider").browser("GET", page(run_id, "/log.txt")).status_code == 404
    assert 'action="/ui/do/' not in Visitor(api, "viewer").html(page(run_id))
    assert 'action="/ui/do/cancel"' in Visitor(api).html(page(run_id))


def test_members_steer_their_own_runs(api: Api) -> None:
    own, others = submit(api), api.world.enqueue()
    member = Visitor(api, "member")
    assert 'action="/ui/do/cancel"' in member.html(page(own))
    assert 'action="/ui/do/' not in member.html(page(others))


def test_a_run_links_those_around_it(api: Api) -> None:
    first = submit(api)
    second = submit(api, after=[first])
    html = Visitor(api).html(page(second))
    assert f'href="/ui/runs/{first}">{first[-6:].rjust(7, "…")}</a>' in html
    assert "waiting for another run" in html
    api.world.until_end(first)
    answer = Visitor(api).press(page(first), "retry")
    again = answer.headers["location"].removeprefix("/ui/runs/")
    assert f'href="/ui/runs/{again}/diff/{first}"' in Visitor(api).html(page(again))
    api.world.pass_all()
    assert "What went in: no difference" in Visitor(api).text(page(again, f"/diff/{first}"))
    chosen = Visitor(api).browser("GET", page(again, f"/diff?other={first}"))
    assert chosen.headers["location"] == page(again, f"/diff/{first}")
    assert "There is nothing here" in Visitor(api, "outsider").text(page(again, f"/diff/{first}"), 404)


def test_checkpoints_are_shown_and_deleted_by_a_button(api: Api) -> None:
    run_id = unpublished(api.world, has_model=False)
    lead, saved = Visitor(api), api("GET", f"/runs/{run_id}").json()["checkpoints"]
    told = lead.text(page(run_id))
    assert f"Checkpoints newest step {saved['newest']['step']} 30 bytes" in told
    assert saved["bucket"] in told
    lead.press(page(run_id), "forget-checkpoints")
    tidy.run_once(api.world.gate)
    assert "newest deleted" in lead.text(page(run_id))


def test_a_pilot_and_what_it_measured_are_shown(api: Api) -> None:
    run_id, pilot_id = test_pilot.submit(api.world, {"max_steps": 20})
    api.world.pass_all()
    assert f"pilot …{pilot_id[-6:]} running" in Visitor(api).text(page(run_id))
    assert f"pilot of …{run_id[-6:]}" in Visitor(api).text(page(pilot_id))
    api.world.until_end(pilot_id)
    api.world.pass_all()
    assert "it measured 0.5 s a step: 8 min in all on a10g-large" in Visitor(api).text(page(run_id))
    api.world.until_end(run_id)


def test_what_follows_tells_what_it_found(api: Api) -> None:
    found = {"answers": [{"prompt": "Hello?", "answer": "Hi <b>there</b>."}, {"odd": 1}, 2], "failed": None}
    run_id, (child,) = test_follow_up.submit(api.world, [{"kind": "smoke_test", "flavor": "cpu-basic"}])
    test_follow_up.tells(api.world, child, found)
    assert "smoke test queued" in Visitor(api).text(page(run_id))
    test_follow_up.train(api.world, run_id)
    api.world.until_end(child)
    for shown in (run_id, child):
        assert "Hello? Hi <b>there</b>." in Visitor(api).text(page(shown))
        assert "<b>there</b>" not in Visitor(api).html(page(shown))


def test_an_approval_is_decided_on_the_page(api: Api) -> None:
    api("PUT", "/teams/research/approval-rules", as_="lead", json={"first_run_of_user": True})
    run_id = submit(api)
    lead = Visitor(api)
    assert "Approval: needed" in lead.text(page(run_id))
    assert 'action="/ui/do/approve"' not in Visitor(api, "member").html(page(run_id))
    lead.press(page(run_id), "approve")
    assert "Approval: granted" in lead.text(page(run_id))
    assert "approved by lead" in lead.text(page(run_id))


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "</div><img src=x onerror=alert(1)>"])
def test_what_others_wrote_is_text(api: Api, hostile: str) -> None:
    world = api.world
    log = "\n".join((hostile, "View your dashboard: javascript:alert(1)", f"ValueError: {hostile}"))
    source = f"print({hostile!r})\n"
    run_id = world.enqueue(seconds=10, exit_code=1, log=log, recipe={"kind": "script", "source": source})
    world.until_end(run_id)
    html = Visitor(api).html(page(run_id))
    assert hostile not in html
    assert html.count("alert(1)") >= 3, "it is shown, as text"
    assert 'href="javascript' not in html


def test_only_a_web_pages_address_becomes_a_link() -> None:
    assert address("https://acme-trackio.hf.space") == "https://acme-trackio.hf.space"
    assert [address(url) for url in ("javascript:alert(1)", "data:text/html,x", "//evil.example", None)] == [None] * 4
