"""Tokens of an OpenID Connect issuer beside keys, and signing in at it: with a real issuer, over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from service.api.issuer import Issuer, Terms
from service.domain.grants import granted, read_grant
from service.flow import archive, notify
from tests.api.conftest import Api
from tests.api.test_sign_in import Browser
from tests.issuer import add_user, ask, consent, id_token, running_issuer

GRANTS = ("ml=research:member", "ml-leads=research:lead", "vision=other:viewer", "platform=admin")
USERS = {
    "Ann@ACME.com": ["ml"],
    "ann@acme.com": ["ml"],
    "lea@acme.com": ["ml", "ml-leads", "vision"],
    "pat@acme.com": ["platform", "ml"],
    "eve@acme.com": ["sales"],
}


class Clock:
    """The issuer's tokens are of the real time; a test may go on from it."""

    later = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.later


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with running_issuer() as url:
        for email, groups in USERS.items():
            add_user(url, email, groups=groups)
        add_user(url, "una@acme.com", groups=["ml"], email_verified=False)
        add_user(url, "uwe@acme.com", groups=["ml"], email_verified="false")
        yield url


@pytest.fixture(scope="module")
def tokens(issuer: str) -> dict[str, str]:
    """One for everybody, which holds for an hour."""
    return {email: id_token(issuer, email) for email in (*USERS, "una@acme.com", "uwe@acme.com")}


@pytest.fixture
def real_time() -> Clock:
    return Clock()


@pytest.fixture
def oidc(api: Api, issuer: str, tokens: dict[str, str], real_time: Clock) -> Api:
    terms = Terms(
        issuer=issuer,
        client_id="tunegate",
        client_secret="secret",
        audiences=("tunegate",),
        user_claim="email",
        claim="groups",
        scope="openid email profile",
        grants=tuple(map(read_grant, GRANTS)),
    )
    api.app.state.tunegate = replace(api.app.state.tunegate, issuer=Issuer(terms, real_time))
    api.keys |= tokens
    return api


def test_a_token_stands_for_what_its_groups_are_granted(oidc: Api) -> None:
    def me(email: str, **headers: str) -> Any:
        answer = oidc("GET", "/me", as_=email, headers=headers)
        found = answer.json()
        return answer.status_code, found.get("user"), found.get("team"), found.get("role")

    assert me("ann@acme.com") == (200, "ann@acme.com", "research", "member")
    assert me("lea@acme.com") == (200, "lea@acme.com", "research", "lead")
    assert me("lea@acme.com", **{"tunegate-team": "other"}) == (200, "lea@acme.com", "other", "viewer")
    assert me("pat@acme.com") == (200, "pat@acme.com", None, "admin")
    assert me("pat@acme.com", **{"tunegate-team": "research"}) == (200, "pat@acme.com", "research", "member")
    assert me("eve@acme.com")[0] == 403
    assert me("Ann@ACME.com")[1] == "ann@acme.com", "the same person, however the address is written"
    assert me("una@acme.com")[0] == 401
    assert me("uwe@acme.com")[0] == 401, "some issuers write it as a text"
    run = oidc(
        "POST",
        "/runs",
        as_="ann@acme.com",
        json={"recipe": {"kind": "script", "source": "print(1)"}, "flavor": "cpu-basic", "timeout": "10m"},
    )
    assert (run.status_code, run.json()["requested_by"]) == (201, "ann@acme.com")
    users = {user["name"] for user in oidc("GET", "/teams/research/users", as_="lead").json()["data"]}
    assert {"ann@acme.com", "lea@acme.com"} <= users
    oidc("PUT", "/teams/research/users/ann@acme.com", as_="lead", json={"shut_out": True})
    assert me("ann@acme.com")[0] == 401


def test_a_token_holds_until_it_expires(oidc: Api, real_time: Clock) -> None:
    real_time.later = timedelta(hours=2)
    refused = oidc("GET", "/me", as_="ann@acme.com")
    assert (refused.status_code, refused.json()["code"]) == (401, "not_authenticated")
    real_time.later = -timedelta(hours=2)
    assert oidc("GET", "/me", as_="ann@acme.com").status_code == 401, "issued in the future"


def test_a_token_for_another_client_or_of_another_issuer_is_refused(oidc: Api, issuer: str) -> None:
    oidc.keys["foreign"] = id_token(issuer, "ann@acme.com", client_id="another")
    assert oidc("GET", "/me", as_="foreign").status_code == 401
    with running_issuer() as other:
        add_user(other, "ann@acme.com", groups=["platform"])
        oidc.keys["stranger"] = id_token(other, "ann@acme.com")
        assert oidc("GET", "/me", as_="stranger").status_code == 401


@pytest.mark.parametrize("kind", ["none", "hs256", "own key", "changed", "short", "dots", "no base64", "crit"])
def test_a_forged_token_is_refused(oidc: Api, issuer: str, kind: str) -> None:
    real = oidc.keys["ann@acme.com"] or ""
    head, body, signature = real.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["groups"] = ["platform"]

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    public = json.dumps(ask("GET", f"{issuer}/jwks").json()["keys"][0])
    forged = {
        "none": f"{part({'alg': 'none'})}.{part(claims)}.",
        "hs256": jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(public.encode())),
        "own key": jwt.encode({"alg": "RS256"}, claims, RSAKey.generate_key()),
        "changed": f"{head}.{part(claims)}.{signature}",
        "short": f"{head}.{body}.{signature[:-8]}",
        "dots": "..",
        "no base64": "%.%.%",
        "crit": f"{part({'alg': 'RS256', 'crit': 1})}.{body}.{signature}",
    }[kind]
    oidc.keys["forger"] = forged
    answer = oidc("GET", "/me", as_="forger")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), answer.text


def test_without_its_issuer_tokens_cannot_be_told_and_keys_can(api: Api, real_time: Clock) -> None:
    terms = Terms("http://127.0.0.1:9", "tunegate", None, ("tunegate",), "email", "groups", "openid", ())
    api.app.state.tunegate = replace(api.app.state.tunegate, issuer=Issuer(terms, real_time))
    api.keys["token"] = "a.b.c"
    answer = api("GET", "/me", as_="token")
    assert (answer.status_code, answer.json()["code"]) == (503, "issuer_unavailable")
    assert api("GET", "/me", as_="member").status_code == 200


def test_somebody_signs_in_at_the_issuer_and_is_who_they_are(oidc: Api) -> None:
    browser = Browser(oidc)
    assert "organisation" in browser("GET", "/sign-in").text
    gone = browser("GET", "/sign-in/oidc")
    asked = parse_qs(urlsplit(gone.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    back = consent(gone.headers["location"], "lea@acme.com")
    signed_in = browser("GET", "/sign-in/callback", params=back)
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
    me = browser("GET", "/me").json()
    assert (me["user"], me["role"], me["via"]) == ("lea@acme.com", "lead", "session")
    assert "lea@acme.com" in browser("GET", "/").text
    again = browser("GET", "/sign-in/callback", params=back)
    assert again.status_code == 401, "what was begun is over"


def test_an_archived_team_is_closed_to_sessions_as_it_is_to_tokens(oidc: Api) -> None:
    browser = Browser(oidc)
    back = consent(browser("GET", "/sign-in/oidc").headers["location"], "ann@acme.com")
    assert browser("GET", "/sign-in/callback", params=back).status_code == 303
    assert oidc("POST", "/teams/research/archive", as_="admin").status_code == 202
    assert browser("GET", "/me").status_code == 200, "it is closed once nothing is under way"
    notify.run_once(oidc.world.gate)
    archive.run_once(oidc.world.gate)
    assert oidc("GET", "/teams/research", as_="admin").json()["archive"]["state"] == "archived"
    assert oidc("GET", "/me", as_="ann@acme.com").status_code == 403
    assert browser("GET", "/runs").status_code == 401
    assert browser("GET", "/").headers["location"] == "/sign-in"


@pytest.mark.parametrize("kind", ["another state", "another browser", "late", "nobody", "a code of another"])
def test_an_answer_that_is_not_to_this_sign_in_begins_no_session(oidc: Api, kind: str) -> None:
    browser, who = Browser(oidc), "eve@acme.com" if kind == "nobody" else "ann@acme.com"
    back = consent(browser("GET", "/sign-in/oidc").headers["location"], who)
    if kind == "another state":
        back["state"] = "x" * 43
    if kind == "another browser":
        browser = Browser(oidc)
    if kind == "late":
        oidc.world.clock.turn(minutes=11)
    if kind == "a code of another":
        victim = Browser(oidc)
        back["code"] = consent(victim("GET", "/sign-in/oidc").headers["location"], "pat@acme.com")["code"]
    answer = browser("GET", "/sign-in/callback", params=back)
    assert answer.status_code in (401, 403), answer.text
    assert browser("GET", "/me").status_code == 401


def test_grants_are_read_and_chosen_by_pure_rules() -> None:
    grants = tuple(map(read_grant, GRANTS))
    assert granted(grants, []) is None
    assert granted(grants, ["platform"], "research") is None
    for wrong in ("x", "x=", "=research:lead", "x=research", "x=research:admin", "x=:lead"):
        with pytest.raises(ValueError, match="'"):
            read_grant(wrong)
