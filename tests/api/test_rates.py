"""How many requests a caller may send, and that keys cannot be tried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from service.api.rates import WRONG_KEYS, Rates, network_of
from service.domain.rate import Rate, parse_rate
from service.settings import Settings
from tests.api.conftest import Api
from tests.api.test_sign_in import Browser


@pytest.fixture
def limited(api: Api) -> Api:
    """Five requests an hour."""
    return with_rates(api, Rates(Rate(5, 3600)))


def with_rates(api: Api, rates: Rates) -> Api:
    api.app.state.tunegate = replace(api.app.state.tunegate, rates=rates)
    return api


def statuses(api: Api, count: int, path: str = "/flavors", **kwargs: Any) -> list[int]:
    return [api("GET", path, **kwargs).status_code for _ in range(count)]


def test_each_answer_says_what_is_left(limited: Api) -> None:
    first = limited("GET", "/flavors")
    assert first.headers["ratelimit-policy"] == '"default";q=5;w=3600'
    assert first.headers["ratelimit"].startswith('"default";r=4;t=3')
    again = limited("GET", "/runs/none")
    assert again.status_code == 404
    assert again.headers["ratelimit"].startswith('"default";r=4;t=3'), "from now on by its key"


def test_beyond_it_is_a_problem_that_says_when(limited: Api) -> None:
    assert statuses(limited, 7) == [200] * 6 + [429], "the first was counted by its address, as the key was unknown"
    answer = limited("GET", "/flavors")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["status"]) == ("rate_limited", 429)
    assert 3590 < int(answer.headers["retry-after"]) <= 3600
    assert answer.headers["ratelimit"].startswith('"default";r=0;t=3')
    assert "x-content-type-options" in answer.headers


def test_one_key_takes_nothing_from_another(limited: Api) -> None:
    statuses(limited, 8, as_="member")
    assert statuses(limited, 7, as_="lead") == [200] * 6 + [429], "its first was counted by the address, as above"
    assert statuses(limited, 1, as_="member") == [429]


def test_a_refused_request_does_nothing(limited: Api) -> None:
    statuses(limited, 8, as_="admin")
    assert limited("POST", "/teams", as_="admin", json={"name": "late"}).status_code == 429
    with_rates(limited, Rates())
    assert limited("GET", "/teams/late", as_="admin").status_code == 404


def test_after_its_time_there_is_room_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [1_800_000_000.0]
    monkeypatch.setattr("time.time", lambda: moment[0])
    with_rates(api, Rates(Rate(2, 60), clock=lambda: moment[0]))
    assert statuses(api, 4, as_="nobody") == [401, 401, 429, 429]
    moment[0] += 61
    assert statuses(api, 2, as_="nobody") == [401, 401]


def test_keys_cannot_be_tried(api: Api) -> None:
    with_rates(api, Rates(Rate(10_000, 60)))
    assert statuses(api, 1) == [200]
    for number in range(WRONG_KEYS.quota):
        api.keys["guess"] = f"tg_{number}"
        assert statuses(api, 1, as_="guess") == [401]
    api.keys["guess"] = "tg_another"
    answer = api("GET", "/flavors", as_="guess")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert "wrong keys" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) <= WRONG_KEYS.seconds
    assert statuses(api, 1, as_="lead") == [429], "valid, but nobody knows that without looking it up"
    assert statuses(api, 1) == [200], "known to be valid"
    assert statuses(api, 1, as_="nobody") == [401]


def test_keys_cannot_be_tried_at_the_sign_in_either(api: Api) -> None:
    with_rates(api, Rates(Rate(10_000, 60)))
    browser, stranger = Browser(api), Browser(api)
    assert browser.sign_in(api.keys["lead"]).status_code == 303
    assert browser("GET", "/me").status_code == 200
    assert {stranger.sign_in(f"tg_{number}").status_code for number in range(WRONG_KEYS.quota)} == {401}
    assert stranger.sign_in(api.keys["lead"]).status_code == 429
    assert browser("GET", "/me").status_code == 200, "a session that is known to be valid is heard"


def test_nor_by_somebody_who_has_a_key(api: Api) -> None:
    with_rates(api, Rates(Rate(1000, 60)))
    browser = Browser(api)
    assert browser.sign_in(api.keys["viewer"]).status_code == 303
    assert browser("GET", "/me").status_code == 200
    found = [browser.sign_in(f"tg_guess_{number}").status_code for number in range(WRONG_KEYS.quota + 1)]
    assert found == [401] * WRONG_KEYS.quota + [429]
    assert browser("GET", "/me").status_code == 200


def test_a_session_counts_for_itself(api: Api) -> None:
    browser = Browser(api)
    browser.sign_in(api.keys["lead"])
    with_rates(api, Rates(Rate(5, 3600)))
    assert [browser("GET", "/me").status_code for _ in range(7)] == [200] * 6 + [429]
    assert statuses(api, 1, as_="nobody") == [401], "the address has what is left of its own"


def test_what_is_not_for_keys_proves_none(api: Api) -> None:
    """An open address answers whatever key it is shown."""
    with_rates(api, Rates(Rate(10_000, 60)))
    for path in ("/healthz", "/openapi.json", "/docs", "/nowhere"):
        api.keys["guess"] = f"tg_{path}"
        statuses(api, 1, path, as_="guess")
        statuses(api, WRONG_KEYS.quota, as_="stranger")
        assert statuses(api, 1, as_="guess") == [429]


def test_a_revoked_key_is_known_no_longer(api: Api) -> None:
    with_rates(api, Rates(Rate(10_000, 60)))
    assert statuses(api, 1) == [200]
    [key_id] = [
        key["id"] for key in api("GET", "/teams/research/keys", as_="lead").json()["data"] if key["name"] == "member"
    ]
    assert api("DELETE", f"/teams/research/keys/{key_id}", as_="lead").status_code == 204
    assert statuses(api, 1) == [401]
    assert statuses(api, WRONG_KEYS.quota + 1)[-1] == 429


def test_health_and_callbacks_count_for_themselves(limited: Api) -> None:
    statuses(limited, 8, as_="nobody")
    assert statuses(limited, 5, "/readyz", as_="nobody") == [200] * 5
    assert statuses(limited, 1, "/healthz", as_="nobody") == [429]
    calls = [limited("POST", "/callbacks/run_x/1/y", as_="nobody", json={}).status_code for _ in range(51)]
    assert calls == [404] * 50 + [429]


def test_a_neighbour_by_ipv6_is_the_same_caller() -> None:
    assert network_of(("2001:db8::1", 1)) == network_of(("2001:db8::ffff", 2)) != network_of(("2001:db8:0:1::1", 1))
    assert network_of(("10.0.0.1", 1)) != network_of(("10.0.0.2", 1))
    assert network_of(("fe80::1%eth0", 1))
    assert network_of(None) == ""
    assert network_of(("testclient", 1)) == "testclient"


def test_rates_as_they_are_written() -> None:
    assert parse_rate("off") is None
    assert parse_rate("600/minute") == Rate(600, 60)
    for text in ("", "0/minute", "600", "600/fortnight", "-1/second", "6 /minute", "1e3/hour", "٣/minute"):
        with pytest.raises(ValueError, match="such as '600/minute'"):
            parse_rate(text)


def test_settings_of_the_edge_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEGATE_RATE_LIMIT", "off")
    monkeypatch.setenv("TUNEGATE_TRUSTED_PROXIES", "10.0.0.0/8, 192.168.1.1")
    monkeypatch.setenv("TUNEGATE_CORS_ORIGINS", "https://a.example,http://localhost:3000")
    settings = Settings()
    assert settings.rate_limit is None
    assert settings.trusted_proxies == ("10.0.0.0/8", "192.168.1.1")
    assert settings.cors_origins == ("https://a.example", "http://localhost:3000")
    monkeypatch.delenv("TUNEGATE_RATE_LIMIT")
    assert Settings().rate_limit == Rate(1200, 60)
    for name, wrong in (
        ("RATE_LIMIT", "many"),
        ("TRUSTED_PROXIES", "*"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://*.example"),
        ("CORS_ORIGINS", "https://a.example/"),
        ("CORS_ORIGINS", "null"),
    ):
        with monkeypatch.context() as changed:
            changed.setenv(f"TUNEGATE_{name}", wrong)
            with pytest.raises(ValidationError):
                Settings()
