"""Keys: whose they are, what they may do, how they end; users; who am I."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from service.domain.access import Role, Scope, beyond, held
from service.domain.moment import iso
from tests.api.conftest import Api
from tests.api.test_edges import BODIES, OPEN, fill, routes
from tests.api.test_runs import BODY, submit

# What a request is about, by the beginning of its path: the longest that fits. Written down anew, so that a route whose
# tag was forgotten is found.
SCOPE_OF = {
    "/runs": "runs",
    "/events": "runs",
    "/queue": "runs",
    "/estimates": "runs",
    "/checkpoints": "runs",
    "/schedules": "runs",
    "/triggers": "runs",
    "/sweeps": "runs",
    "/teams": "teams",
    "/organisation": "teams",
    "/budgets": "money",
    "/teams/{team}/budget": "money",
    "/organisation/budget": "money",
    "/usage": "money",
    "/billing": "money",
    "/webhooks": "webhooks",
    "/teams/{team}/secrets": "secrets",
    "/teams/{team}/hf-credentials": "secrets",
    "/hub": "secrets",
    "/audit": "audit",
    "/strays": "service",
    "/metrics": "service",
}
# Steering is about runs, wherever it stands.
STEERING = re.compile(r"/teams/\{team\}/(pause|resume|cancel-runs|approval-rules)")
FREE = ("/me", "/flavors", "/recipes")


def make(api: Api, path: str = "/teams/research/keys", *, as_: str = "lead", **body: Any) -> dict[str, Any]:
    answer = api("POST", path, as_=as_, json={"name": "ci", **({"role": "member"} if "teams" in path else {}), **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    api.keys[made["name"]] = made["key"]
    return made


def needed(method: str, path: str) -> str | None:
    if path.startswith(FREE):
        return None
    known = max((one for one in SCOPE_OF if path.startswith(one)), key=len)
    area = "runs" if STEERING.match(path) else SCOPE_OF[known]
    return f"{area}:{'read' if method == 'GET' else 'write'}"


@pytest.mark.parametrize("path", ["/teams/research/keys", "/organisation/keys"])
def test_a_key_says_whose_it_is_and_is_never_shown_again(api: Api, path: str) -> None:
    made = make(api, path, as_="admin", user="alice@acme.com", expires_at="2027-01-01T00:00:00Z")
    assert re.fullmatch(r"tg_[A-Za-z0-9_-]{43}", made["key"])  # 256 bits
    shown = {name: made[name] for name in ("user", "created_by", "expires_at", "scopes", "last_used_at")}
    assert shown == {
        "user": "alice@acme.com",
        "created_by": "admin",
        "expires_at": "2027-01-01T00:00:00.000Z",
        "scopes": None,
        "last_used_at": None,
    }
    me = api("GET", "/me", as_="ci").json()
    assert (me["user"], me["key_id"], me["via"]) == ("alice@acme.com", made["id"], "key")
    api.world.db.write(lambda _session: None)
    listed = api("GET", path, as_="admin")
    assert made["key"] not in listed.text
    assert listed.json()["data"][-1]["last_used_at"] is not None, "it was used for /me"


def test_the_last_use_is_noted_once_a_minute(api: Api) -> None:
    made = make(api)

    def last_use() -> Any:
        api.world.db.write(lambda _session: None)  # a use is noted beside the request: after this, it is
        listed = api("GET", "/teams/research/keys", as_="lead").json()["data"]
        return next(key for key in listed if key["id"] == made["id"])["last_used_at"]

    noted = []
    for seconds in (0, 30, 31):
        api.world.clock.turn(seconds=seconds)
        api("GET", "/me", as_="ci")
        noted.append(last_use())
    assert noted[0] == noted[1] < noted[2]


def test_an_expired_key_is_refused_from_its_moment_on(api: Api) -> None:
    make(api, expires_at=iso(api.world.clock.now + timedelta(minutes=1)))
    assert api("GET", "/runs", as_="ci").status_code == 200
    api.world.clock.turn(minutes=1)
    refused = api("GET", "/runs", as_="ci")
    assert (refused.status_code, refused.json()["detail"]) == (401, "the key has expired")
    body = {"name": "x", "role": "member", "expires_at": "2026-01-01T00:00:00Z"}
    late = api("POST", "/teams/research/keys", as_="lead", json=body)
    assert (late.status_code, late.json()["field"]) == (422, "expires_at")


def test_a_rotated_key_holds_for_the_overlap_and_its_runs_stay_the_users(api: Api) -> None:
    old = make(api, user="bot")
    run = submit(api, as_="ci")
    new = api("POST", f"/teams/research/keys/{old['id']}/rotate", as_="lead", json={"overlap_hours": 2})
    assert new.status_code == 201
    api.keys["new"] = new.json()["key"]
    for caller in ("ci", "new"):
        assert api("GET", "/me", as_=caller).json()["user"] == "bot"
    again = api("POST", f"/teams/research/keys/{old['id']}/rotate", as_="lead")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    api.world.clock.turn(hours=2)
    assert api("GET", "/me", as_="ci").status_code == 401
    assert api("POST", f"/runs/{run['id']}/cancel", as_="new").status_code == 202, "it is the user's own"


def test_everybody_rotates_their_own_key_and_nobody_elses(api: Api) -> None:
    own = make(api, scopes=["runs:write"])
    other = make(api, name="other")
    path = "/teams/research/keys"
    assert api("POST", f"{path}/{own['id']}/rotate", as_="ci").status_code == 403, "its scopes do not reach keys"
    mine = make(api, name="mine")
    assert api("POST", f"{path}/{other['id']}/rotate", as_="mine").status_code == 404
    rotated = api("POST", f"{path}/{mine['id']}/rotate", as_="mine")
    assert (rotated.status_code, rotated.json()["role"]) == (201, "member")
    assert api("DELETE", f"{path}/{other['id']}", as_="mine").status_code == 404
    assert api("DELETE", f"{path}/{mine['id']}", as_="mine").status_code == 204, "a key that got away is ended at once"


def test_nobody_but_a_lead_puts_off_the_end_of_a_key(api: Api) -> None:
    end, later = "2027-01-01T00:00:00.000Z", "2030-01-01T00:00:00.000Z"
    own = make(api, expires_at=end)
    path = f"/teams/research/keys/{own['id']}/rotate"
    refused = api("POST", path, as_="ci", json={"expires_at": later})
    assert (refused.status_code, refused.json()["field"]) == (403, "expires_at")
    kept = api("POST", path, as_="ci", json={"expires_at": "2026-12-31T00:00:00Z"})
    assert (kept.status_code, kept.json()["expires_at"]) == (201, "2026-12-31T00:00:00.000Z")
    renewed = api("POST", f"/teams/research/keys/{kept.json()['id']}/rotate", as_="lead", json={"expires_at": later})
    assert (renewed.status_code, renewed.json()["expires_at"]) == (201, later)


def test_every_key_may_ask_who_it_is(api: Api) -> None:
    make(api, scopes=["runs:read"])
    assert api("GET", "/me", as_="ci").json()["scopes"] == ["runs:read"]


def test_revocation_holds_at_once_and_says_by_whom(api: Api) -> None:
    made = make(api)
    assert api("DELETE", f"/teams/research/keys/{made['id']}", as_="lead").status_code == 204
    assert api("GET", "/me", as_="ci").json()["detail"] == "the key was revoked"
    listed = api("GET", "/teams/research/keys", as_="lead").json()["data"]
    assert next(key for key in listed if key["id"] == made["id"])["revoked_by"] == "lead"
    admins = make(api, "/organisation/keys", as_="admin", name="boss")
    assert api("GET", "/teams", as_="boss").status_code == 200
    assert api("DELETE", f"/organisation/keys/{made['id']}", as_="admin").status_code == 404
    assert api("DELETE", f"/organisation/keys/{admins['id']}", as_="boss").status_code == 204
    assert api("GET", "/teams", as_="boss").status_code == 401


@pytest.mark.parametrize("is_held", [True, False])
def test_every_route_asks_for_its_scope(api: Api, is_held: bool) -> None:
    every = [one.value for one in Scope]
    for scope in every:
        scopes = [scope] if is_held else [one for one in every if one not in (scope, scope.replace(":read", ":write"))]
        make(api, "/organisation/keys", as_="admin", name=scope, scopes=scopes)
    for method, path in routes(api):
        if path in OPEN or (wanted := needed(method, path)) is None or (path == "/audit" and not is_held):
            continue
        answer = api(method, fill(path), as_=wanted, json=BODIES.get((method, path)))
        if method == "POST" and path.endswith("/keys"):
            continue  # a key of less is refused as a way to more: see below
        is_refused = answer.status_code == 403 and "scope" in answer.json()["detail"]
        assert is_refused != is_held, (method, path, wanted, answer.text)


def test_a_key_is_no_way_to_more_than_its_maker_may_do(api: Api) -> None:
    make(api, role="lead", scopes=["teams:write"])
    path = "/teams/research/keys"
    for more in ({}, {"scopes": ["money:read"]}, {"scopes": ["runs:on_behalf_of"]}):
        refused = api("POST", path, as_="ci", json={"name": "x", "role": "member", **more})
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed"), more
    assert make(api, as_="ci", name="less", scopes=["teams:read"])["scopes"] == ["teams:read"]
    assert api("POST", path, as_="lead", json={"name": "x", "role": "admin"}).status_code == 422
    strong = next(key["id"] for key in api("GET", path, as_="lead").json()["data"] if key["name"] == "lead")
    assert api("POST", f"{path}/{strong}/rotate", as_="ci").status_code == 403, "a stronger key's secret is no less"


def test_scopes_are_pure_rules() -> None:
    assert Scope.RUNS_READ in held(Role.VIEWER, ["runs:write"])
    assert held(Role.LEAD, None) == set(Scope) - {Scope.RUNS_ON_BEHALF_OF}
    assert held(Role.ADMIN, None) == set(Scope)
    assert beyond(held(Role.LEAD, None), Role.LEAD, ["runs:on_behalf_of"]) == []
    assert beyond(held(Role.MEMBER, None), Role.MEMBER, ["runs:on_behalf_of"]) == ["runs:on_behalf_of"]
    assert [Role.LEAD.reaches(one) for one in Role] == [True, True, True, False]


def test_a_system_submits_in_the_name_of_users_when_its_key_allows_it(api: Api) -> None:
    body = {**BODY, "on_behalf_of": "alice@acme.com"}
    refused = api("POST", "/runs", json=body)
    assert (refused.status_code, refused.json()["field"]) == (403, "on_behalf_of")
    make(api, name="portal", scopes=["runs:write", "runs:on_behalf_of"])
    run = submit(api, as_="portal", on_behalf_of="alice@acme.com")
    entry = api("GET", "/audit", as_="lead").json()["data"][0]
    assert (entry["actor"], entry["changes"][0]) == ("portal", {"on_behalf_of": "alice@acme.com"})
    assert (run["requested_by"], run["submitted_by"]) == ("alice@acme.com", "portal")
    make(api, name="laptop", user="alice@acme.com")
    make(api, name="other", user="bob@acme.com")
    assert api("POST", f"/runs/{run['id']}/pause", as_="other").status_code == 403
    assert api("POST", f"/runs/{run['id']}/pause", as_="laptop").status_code == 200, "it is hers"
    assert api("POST", f"/runs/{run['id']}/cancel", as_="portal").status_code == 202, "and the portal's to cancel"
    hers = {"user": "alice@acme.com"}
    limited = api("PUT", "/teams/research/budget", as_="lead", params=hers, json={"limit_usd": 0.001})
    assert limited.status_code == 200
    refused = api("POST", "/runs", as_="portal", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "exceeds_budget"), "her budget binds"
    assert api("POST", "/runs", as_="portal", json={**BODY, "on_behalf_of": "bob@acme.com"}).status_code == 201


def test_a_user_who_is_shut_out_is_so_by_every_way(api: Api) -> None:
    make(api, name="laptop", user="alice@acme.com")
    make(api, name="portal", scopes=["runs:write", "runs:on_behalf_of"])
    run = submit(api, as_="laptop")
    path = "/teams/research/users/alice@acme.com"
    assert api("PUT", path, as_="laptop", json={"shut_out": True}).status_code == 403
    answer = api("PUT", path, as_="lead", json={"shut_out": True})
    assert (answer.status_code, answer.json()["shut_out_by"]) == (200, "lead")
    assert api("GET", "/me", as_="laptop").status_code == 401
    refused = api("POST", "/runs", as_="portal", json={**BODY, "on_behalf_of": "alice@acme.com"})
    assert (refused.status_code, refused.json()["field"]) == (403, "on_behalf_of")
    assert api("GET", f"/runs/{run['id']}", as_="lead").json()["state"] == "queued", "her runs go on"
    body = {"name": "another", "role": "member", "user": "alice@acme.com"}
    dead = api("POST", "/teams/research/keys", as_="lead", json=body)
    assert (dead.status_code, dead.json()["field"]) == (409, "user")
    listed = api("GET", "/teams/research/users", as_="lead").json()["data"]
    assert {user["name"]: user["shut_out"] for user in listed}["alice@acme.com"] is True
    assert api("PUT", path, as_="lead", json={"shut_out": False}).status_code == 200
    assert api("GET", "/me", as_="laptop").status_code == 200
    assert api("PUT", "/teams/research/users/lead", as_="lead", json={"shut_out": True}).status_code == 409
