"""Triggers over HTTP: made with a secret that is shown once, told by the Hub, changed, rotated, removed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import col, select

from service.flow import trigger as step
from service.store.tables import Run
from tests.api.conftest import Api

RUN = {
    "recipe": {"kind": "script", "source": "print(1)", "args": ["{{revision}}"]},
    "flavor": "cpu-basic",
    "timeout": "10m",
}
CHATS = {"name": "chats", "repo_type": "dataset", "repo": "acme/chats", "run": RUN}
NEWS = {"event": {"action": "update", "scope": "repo.content"}, "repo": {"type": "dataset", "name": "acme/chats"}}


def make(api: Api, as_: str = "member", **changes: Any) -> dict[str, Any]:
    answer = api("POST", "/triggers", as_=as_, json={**CHATS, **changes})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def tell(api: Api, trigger_id: str, secret: str | None, payload: Any = NEWS) -> Any:
    headers = {} if secret is None else {"x-webhook-secret": secret}
    return api("POST", f"/hooks/hub/{trigger_id}", as_="nobody", json=payload, headers=headers)


def runs(api: Api) -> list[Run]:
    with api.world.db.read() as session:
        return list(session.exec(select(Run).where(col(Run.origin).is_not(None)).order_by(col(Run.id))))


def push(api: Api, content: bytes) -> str:
    return str(api.world.core.hub.publish("dataset", "acme/chats", {"a.jsonl": content}, api.world.clock.now))


def test_what_the_hub_tells_makes_a_run_of_the_newest_commit(api: Api) -> None:
    made = make(api, budget={"limit_usd": 5})
    assert made["hook"].endswith(f"/hooks/hub/{made['id']}")
    assert made["overlap"] == "queue"
    shown = api("GET", f"/triggers/{made['id']}").json()
    assert "secret" not in shown
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    revision = push(api, b"{}")
    told = tell(api, made["id"], made["secret"], {**NEWS, "repo": {**NEWS["repo"], "headSha": "0" * 40}})
    assert (told.status_code, told.json()["accepted"]) == (202, True)
    assert api("GET", f"/triggers/{made['id']}").json()["looks_at"] is not None
    api.world.clock.turn(seconds=61)
    assert step.run_once(api.world.gate) == 1
    [run] = runs(api)
    assert run.recipe["args"] == [revision], "the commit that is there, and not the one that was told"
    last = api("GET", f"/triggers/{made['id']}").json()["last"]
    assert (last["outcome"], last["run_id"], last["revision"]) == ("started", run.id, revision)


@pytest.mark.parametrize("secret", [None, "", "wrong", "\x7f"])
def test_nobody_else_is_heard(api: Api, secret: str | None) -> None:
    made = make(api)
    answer = tell(api, made["id"], secret)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert tell(api, "trg_nowhere", secret).json()["detail"] == answer.json()["detail"], "nor told what there is"
    assert api("GET", f"/triggers/{made['id']}").json()["looks_at"] is None


def test_what_is_no_news_of_its_files_is_passed_over(api: Api) -> None:
    made = make(api)
    for payload in ({}, {**NEWS, "repo": {"type": "dataset", "name": "acme/others"}}):
        told = tell(api, made["id"], made["secret"], payload)
        assert (told.status_code, told.json()["accepted"]) == (202, False)
    api("PATCH", f"/triggers/{made['id']}", json={"paused": True})
    assert tell(api, made["id"], made["secret"]).json() == {"accepted": False, "message": "the trigger is paused"}
    assert api("GET", f"/triggers/{made['id']}").json()["looks_at"] is None


def test_a_rotated_secret_is_heard_and_the_old_one_is_not(api: Api) -> None:
    made = make(api)
    rotated = api("POST", f"/triggers/{made['id']}/rotate-secret").json()
    assert rotated["secret"] != made["secret"]
    assert tell(api, made["id"], made["secret"]).status_code == 401
    assert tell(api, made["id"], rotated["secret"]).json()["accepted"] is True


def test_a_trigger_whose_runs_would_start_it_again_is_refused(api: Api) -> None:
    watch = {"repo_type": "model", "repo": "acme/a"}
    own = api("POST", "/triggers", json={**CHATS, **watch, "run": {**RUN, "output_repo": "acme/A"}})
    assert (own.status_code, own.json()["field"]) == (422, "run.output_repo")
    make(api, **watch, name="a to b", run={**RUN, "output_repo": "acme/b"})
    back = {**CHATS, "name": "b to a", "repo_type": "model", "repo": "acme/b", "run": {**RUN, "output_repo": "acme/a"}}
    answer = api("POST", "/triggers", json=back)
    assert (answer.status_code, answer.json()["field"]) == (422, "run.output_repo")
    assert "for ever" in answer.json()["detail"]
    make(api, name="b to c", repo_type="model", repo="acme/b", run={**RUN, "output_repo": "acme/c"})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"repo": "chats"}, "repo"),
        ({"repo_type": "space"}, "repo_type"),
        ({"run": {**RUN, "flavor": "cpu-bsic"}}, "run.flavor"),
        ({"run": {**RUN, "labels": {"a": "{{revison}}"}}}, "run"),
        ({"run": {**RUN, "after": ["run_1"]}}, "run.after"),
        ({"debounce": "10"}, "debounce"),
    ],
)
def test_what_cannot_come_true_is_refused_with_its_place(api: Api, changes: dict[str, Any], field: str) -> None:
    answer = api("POST", "/triggers", json={**CHATS, **changes})
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert api("GET", "/triggers").json()["data"] == []


def test_it_is_looked_at_by_hand_and_removed(api: Api) -> None:
    made = make(api)
    push(api, b"{}")
    assert api("POST", f"/triggers/{made['id']}/run").status_code == 202
    assert step.run_once(api.world.gate) == 1
    assert len(runs(api)) == 1
    api.add_key("another", "research", "member")
    assert api("DELETE", f"/triggers/{made['id']}", as_="another").status_code == 403
    assert api("DELETE", f"/triggers/{made['id']}").status_code == 204
    assert tell(api, made["id"], made["secret"]).status_code == 401
