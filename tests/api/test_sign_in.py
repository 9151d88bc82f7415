"""Signing in with a browser: the session's cookie, what it may do, how it ends, and what other sites cannot do."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from service.domain.moment import iso
from tests.api.conftest import Api
from tests.api.test_keys import make
from tests.api.test_runs import BODY


class Browser:
    """Keeps cookies, sends no key, follows no redirect."""

    def __init__(self, api: Api) -> None:
        self._client = TestClient(api.app, base_url="https://testserver", follow_redirects=False)
        self._client.portal = api.portal
        self.cookies = self._client.cookies

    def __call__(self, method: str, path: str, **kwargs: Any) -> httpx2.Response:
        answer: Any = self._client.request(method, path, **kwargs)
        return answer

    def sign_in(self, key: str | None) -> httpx2.Response:
        return self("POST", "/sign-in", data={"key": key})

    def token(self) -> str:
        found = re.search(r'name="csrf-token" content="([0-9a-f]{64})"', self("GET", "/").text)
        assert found is not None
        return found[1]


@pytest.fixture
def browser(api: Api) -> Browser:
    browser = Browser(api)
    assert browser.sign_in(api.keys["lead"]).headers["location"] == "/"
    return browser


def test_a_key_begins_a_session_that_may_what_the_key_may(api: Api, browser: Browser) -> None:
    stranger = Browser(api)
    assert stranger("GET", "/").headers["location"] == "/sign-in"
    refused = stranger.sign_in("tg_wrong")
    assert refused.status_code == 401
    assert "not valid" in refused.text
    assert not stranger.cookies
    assert browser("GET", "/me").json() == {**api("GET", "/me", as_="lead").json(), "via": "session"}
    assert browser("GET", "/runs").status_code == 200
    assert browser("GET", "/organisation/keys").status_code == 403


def test_the_cookie_is_for_this_host_and_no_script(api: Api) -> None:
    header = Browser(api).sign_in(api.keys["lead"]).headers["set-cookie"]
    assert re.match(r"__Host-tunegate=[A-Za-z0-9_-]{43};", header)
    assert {part.strip().lower() for part in header.split(";")[1:]} == {
        "httponly",
        "max-age=43200",
        "path=/",
        "samesite=lax",
        "secure",
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"x-csrf-token": "0" * 64}, 403),
        ({"x-csrf-token": "TOKEN"}, 201),
        ({"x-csrf-token": "TOKEN", "sec-fetch-site": "cross-site"}, 403),
        ({"x-csrf-token": "TOKEN", "sec-fetch-site": "same-site"}, 403),
        ({"x-csrf-token": "TOKEN", "sec-fetch-site": "same-origin"}, 201),
    ],
)
def test_a_session_changes_something_only_from_its_own_pages(
    browser: Browser, headers: dict[str, str], status: int
) -> None:
    sent = {name: browser.token() if value == "TOKEN" else value for name, value in headers.items()}
    assert browser("POST", "/runs", json=BODY, headers=sent).status_code == status


def test_the_token_of_one_session_is_none_of_another(api: Api, browser: Browser) -> None:
    other = Browser(api)
    other.sign_in(api.keys["lead"])
    assert browser("POST", "/runs", json=BODY, headers={"x-csrf-token": other.token()}).status_code == 403


def test_another_site_signs_nobody_in_and_nobody_out(api: Api, browser: Browser) -> None:
    login = Browser(api)("POST", "/sign-in", data={"key": api.keys["lead"]}, headers={"sec-fetch-site": "cross-site"})
    assert login.status_code == 403
    assert "set-cookie" not in login.headers
    for origin in ("https://evil.example", "null", "http://testserver.evil.example"):
        login = Browser(api)("POST", "/sign-in", data={"key": api.keys["lead"]}, headers={"origin": origin})
        assert login.status_code == 403, f"{origin}, by a browser without Fetch Metadata"
    own = Browser(api)("POST", "/sign-in", data={"key": api.keys["lead"]}, headers={"origin": "https://testserver"})
    assert own.status_code == 303
    assert browser("POST", "/sign-out", data={}).status_code == 403
    assert browser("GET", "/me").status_code == 200


def test_signing_out_ends_the_session_wherever_its_cookie_is(api: Api, browser: Browser) -> None:
    thief = Browser(api)
    thief.cookies.update(browser.cookies)
    assert thief("GET", "/me").status_code == 200
    assert browser("POST", "/sign-out", data={"csrf_token": browser.token()}).headers["location"] == "/sign-in"
    assert browser("GET", "/me").status_code == 401
    assert thief("GET", "/me").status_code == 401


def test_a_session_ends_with_its_time_its_key_and_its_user(api: Api) -> None:
    until = iso(api.world.clock.now + timedelta(hours=1))
    for name in ("revoked", "shut-out", "brief", "long"):
        make(api, name=name, **({"expires_at": until} if name == "brief" else {}))
    browsers = {name: Browser(api) for name in ("revoked", "shut-out", "brief", "long")}
    for name, one in browsers.items():
        assert one.sign_in(api.keys[name]).status_code == 303
    ids = {key["name"]: key["id"] for key in api("GET", "/teams/research/keys", as_="lead").json()["data"]}
    api("DELETE", f"/teams/research/keys/{ids['revoked']}", as_="lead")
    api("PUT", "/teams/research/users/shut-out", as_="lead", json={"shut_out": True})

    def alive() -> list[str]:
        return [name for name, one in browsers.items() if one("GET", "/me").status_code == 200]

    assert alive() == ["brief", "long"]
    api.world.clock.turn(hours=1)
    assert alive() == ["long"]
    api.world.clock.turn(hours=11)
    assert alive() == []


def test_a_sign_in_and_what_a_session_does_are_in_the_audit_log(api: Api, browser: Browser) -> None:
    browser("POST", "/teams/research/pause", headers={"x-csrf-token": browser.token()})
    paused, signed_in = api("GET", "/audit", as_="lead").json()["data"][:2]
    assert (signed_in["action"], signed_in["actor"], signed_in["via"]) == ("POST /sign-in", "lead", "key")
    assert (paused["actor"], paused["via"]) == ("lead", "session")


def test_pages_escape_what_users_are_called(api: Api) -> None:
    make(api, name="odd", user="<script>alert(1)<b>")
    browser = Browser(api)
    browser.sign_in(api.keys["odd"])
    page = browser("GET", "/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
