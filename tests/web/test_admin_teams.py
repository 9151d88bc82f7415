"""Teams, their keys, users, secrets and tokens, and the organisation above them: each form once, as its role."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.web.page import Visitor, words

TEAMS = "/ui/admin/teams"
RESEARCH = f"{TEAMS}/research"
ORGANISATION = "/ui/admin/organisation"


def read(api: Api, path: str, as_: str = "admin") -> Any:
    answer = api("GET", path, as_=as_)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_team_is_made_and_shows_what_it_lacks(api: Api) -> None:
    admin = Visitor(api, "admin")
    answer = admin.press(TEAMS, "create-team", name="third")
    assert answer.headers["location"] == f"{TEAMS}/third"
    told = admin.text(TEAMS)
    assert "3 teams" in told
    assert "third UTC, since" in told
    assert "none granted yet" in told
    admin.press(TEAMS, "create-team", name="third")
    assert "there is a team 'third' already" in admin.text(TEAMS)


def test_its_terms_are_set_by_who_may(api: Api) -> None:
    admin, lead = Visitor(api, "admin"), Visitor(api)
    admin.press(RESEARCH, "change-team", weight="2.5", time_zone="Europe/Berlin")
    lead.press(RESEARCH, "set-limits", max_concurrent_runs="4", max_concurrent_runs_per_user="")
    team = read(api, "/teams/research")
    assert (team["weight"], team["time_zone"]) == (2.5, "Europe/Berlin")
    assert (team["max_concurrent_runs"], team["max_concurrent_runs_per_user"]) == (4, None)
    lead.press(
        RESEARCH,
        "set-rules",
        cost_over_usd="",
        flavors="cpu-basic, t4-small",
        first_run_of_user="yes",
        expires_after="2d",
    )
    assert read(api, "/teams/research/approval-rules") == {
        "cost_over_usd": None,
        "flavors": ["cpu-basic", "t4-small"],
        "first_run_of_user": True,
        "expires_after_seconds": 172_800,
    }
    html = lead.html(RESEARCH)
    assert "change-team" not in html
    assert "archive-team" not in html
    assert 'value="2d"' in html


def test_a_team_is_paused_stopped_archived_and_opened_again(api: Api) -> None:
    admin, lead = Visitor(api, "admin"), Visitor(api)
    lead.press(RESEARCH, "pause-team")
    assert "research: paused by lead" in lead.text(RESEARCH)
    lead.press(RESEARCH, "resume-team")
    run_id = api.world.enqueue()
    lead.press(RESEARCH, "stop-team", sure="research", pause="yes")
    assert "Runs that are asked to end: 1." in lead.text(RESEARCH)
    assert read(api, f"/runs/{run_id}")["cancel_requested_at"] is not None
    assert read(api, "/teams/research")["paused"] is True
    admin.press(RESEARCH, "archive-team", runs="drain")
    assert read(api, "/teams/research")["archive"]["state"] == "archiving"
    assert "research: archiving" in admin.text(RESEARCH)
    admin.press(RESEARCH, "unarchive-team")
    assert read(api, "/teams/research")["archive"]["state"] == "open"


def shown(html: str) -> str:
    found = re.search(r'<pre class="code" id="shown-once"[^>]*>(.*?)</pre>', html)
    assert found is not None, html
    return found[1]


def test_a_key_is_shown_once_and_never_again(api: Api) -> None:
    lead, page = Visitor(api), f"{RESEARCH}/keys"
    answer = lead.press(page, "create-key", name="nightly", role="member", expires_at="2027-01-01T00:00")
    secret = shown(answer.text)
    api.keys["nightly"] = secret
    assert read(api, "/me", as_="nightly")["user"] == "nightly"
    [key] = [one for one in read(api, "/teams/research/keys")["data"] if one["name"] == "nightly"]
    assert (key["expires_at"], key["scopes"]) == ("2027-01-01T00:00:00.000Z", None)
    assert secret not in lead.html(page)
    assert "nightly of nightly, made by lead" in lead.text(page)
    rotated = shown(lead.press(page, "rotate-key", key_id=key["id"], overlap_hours="0").text)
    assert rotated != secret
    assert api("GET", "/me", as_="nightly").status_code == 401
    [newest, *_] = [one for one in read(api, "/teams/research/keys")["data"] if one["replaced_by"] is None][::-1]
    lead.press(page, "revoke-key", key_id=newest["id"])
    assert "revoked by lead" in lead.text(page)


def test_a_key_may_be_less_than_its_role_and_a_refusal_is_beside_the_form(api: Api) -> None:
    lead, page = Visitor(api), f"{RESEARCH}/keys"
    sent = {"csrf_token": lead.browser.token(), "back": page, "team": "research", "name": "reader", "role": "viewer"}
    part = {"hx-request": "true"}
    sent_scopes = {**sent, "scopes": ["runs:read", "money:read"]}
    answer = lead.browser("POST", "/ui/do/create-key", data=sent_scopes, headers=part)
    assert answer.status_code == 200
    assert "<html" not in answer.text, "the key comes in the form's place"
    [key] = [one for one in read(api, "/teams/research/keys")["data"] if one["name"] == "reader"]
    assert key["scopes"] == ["money:read", "runs:read"]
    assert "viewer only money:read, runs:read" in lead.text(page)
    over = lead.browser("POST", "/ui/do/create-key", data={**sent, "expires_at": "2020-01-01T00:00"}, headers=part)
    assert over.status_code == 422
    assert "the key would have expired already" in words(over.text)
    assert "Name a time to come." in words(over.text)


def test_a_user_is_shut_out_and_let_in(api: Api) -> None:
    lead, page = Visitor(api), f"{RESEARCH}/keys"
    lead.press(page, "shut-out", user="member", shut_out="yes")
    assert api("GET", "/me").status_code == 401
    assert "member shut out by lead" in lead.text(page)
    lead.press(page, "shut-out", user="member", shut_out="no")
    assert api("GET", "/me").status_code == 200


def test_names_are_text_and_never_markup(api: Api) -> None:
    lead, name = Visitor(api), '"><script>alert(1)</script>'
    lead.press(f"{RESEARCH}/keys", "create-key", name=name, user="ci", role="viewer")
    html = lead.html(f"{RESEARCH}/keys")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert" not in Visitor(api, "admin").html("/ui/admin/audit")


def test_secrets_are_kept_named_and_wiped_and_never_shown(api: Api) -> None:
    lead, page = Visitor(api), f"{RESEARCH}/secrets"
    lead.press(page, "set-secret", name="wandb", value="a secret value")
    assert [one["name"] for one in read(api, "/teams/research/secrets", as_="lead")["data"]] == ["wandb"]
    for who in (lead, Visitor(api, "member")):
        html = who.html(page)
        assert "wandb" in html
        assert "a secret value" not in html
    assert "Wipe" not in Visitor(api, "member").text(page)
    lead.press(page, "delete-secret", name="wandb")
    assert read(api, "/teams/research/secrets", as_="lead")["data"] == []


def test_a_teams_own_tokens_are_checked_shown_as_known_and_taken_away(api: Api) -> None:
    lead, page = Visitor(api), f"{RESEARCH}/secrets"
    lead.press(page, "set-credentials", control_token="hf_labs", job_token="hf_labs_job", namespaces="labs")
    known, told = read(api, "/teams/research/hf-credentials"), lead.text(page)
    assert known["namespaces"] == ["labs"]
    for token in ("control", "job"):
        assert known[token]["account"] in told
        assert all(warning in told for warning in known[token]["warnings"])
    assert "hf_labs" not in lead.html(page)
    lead.press(page, "check-credentials")
    assert "Hugging Face was asked again." in lead.text(page)
    lead.press(page, "delete-credentials")
    assert "None: its runs use the service's tokens." in lead.text(page)
    lead.press(page, "set-credentials", control_token="hf_labs", job_token="hf_labs", namespaces="labs")
    assert "the two tokens are one" in lead.text(page)


def test_the_organisations_limits_are_set_and_taken_away(api: Api) -> None:
    admin = Visitor(api, "admin")
    admin.press(
        ORGANISATION,
        "change-organisation",
        max_concurrent_runs="9",
        time_zone="Europe/Paris",
        max_concurrent_runs_by_flavor="cpu-basic = 2\nt4-small=1",
        max_concurrent_runs_by_namespace="acme = 5",
        counts_outside="yes",
    )
    found = read(api, "/organisation")
    assert (found["max_concurrent_runs"], found["time_zone"], found["counts_outside"]) == (9, "Europe/Paris", True)
    assert found["max_concurrent_runs_by_flavor"] == {"cpu-basic": 2, "t4-small": 1}
    assert "cpu-basic = 2" in admin.html(ORGANISATION)
    none = dict.fromkeys(
        ("max_concurrent_runs", "max_concurrent_runs_by_flavor", "max_concurrent_runs_by_namespace"), ""
    )
    admin.press(ORGANISATION, "change-organisation", counts_outside="no", **none)
    found = read(api, "/organisation")
    assert (found["max_concurrent_runs"], found["max_concurrent_runs_by_flavor"]) == (None, {})
    assert found["time_zone"] == "Europe/Paris", "what is left out stays"
    admin.press(ORGANISATION, "change-organisation", max_concurrent_runs_by_flavor="cpu-basic = many")
    assert 'class="notice refused"' in admin.html(ORGANISATION)
    assert read(api, "/organisation")["max_concurrent_runs_by_flavor"] == {}


def test_admins_keys_and_the_services_tokens(api: Api) -> None:
    admin = Visitor(api, "admin")
    api.keys["second"] = shown(admin.press(ORGANISATION, "create-admin-key", name="second").text)
    assert read(api, "/me", as_="second")["role"] == "admin"
    [key] = read(api, "/organisation/keys")["data"]
    shown(admin.press(ORGANISATION, "rotate-admin-key", key_id=key["id"]).text)
    admin.press(ORGANISATION, "revoke-admin-key", key_id=key["id"])
    assert api("GET", "/me", as_="second").status_code == 401
    assert "What they may do" in admin.text(ORGANISATION), "nobody was asked"
    tokens = read(api, "/hub/tokens")
    told = admin.text(f"{ORGANISATION}?ask=tokens")
    assert all(warning in told for name in ("control", "job") for warning in tokens[name]["warnings"])
    assert "Hugging Face" not in Visitor(api).text(f"{ORGANISATION}?ask=tokens")


@pytest.mark.parametrize("path", ["/ui/admin/teams/nowhere", "/ui/admin/endpoints/ep_nowhere"])
def test_what_is_not_there_says_so(api: Api, path: str) -> None:
    assert "There is nothing here" in Visitor(api, "admin").text(path, 404)
