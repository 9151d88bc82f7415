"""What browsers are told, what other origins may do, and what strangers learn of a fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from service.app import create_app
from service.web.documentation import STATIC
from tests.api.conftest import Api
from tests.api.test_edges import fill, routes
from tests.api.test_runs import submit

ROOT = Path(__file__).parents[2]


def test_every_answer_says_the_policy(api: Api) -> None:
    asked = [(method, fill(path)) for method, path in routes(api)]
    asked += [("GET", "/nowhere"), ("PUT", "/runs"), ("GET", "/runs?x=%00"), ("OPTIONS", "/runs"), ("HEAD", "/healthz")]
    for method, path in asked:
        headers = api(method, path, as_="lead").headers
        assert headers["x-content-type-options"] == "nosniff", (method, path)
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["cross-origin-resource-policy"] == headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        assert "strict-transport-security" not in headers
        assert "server" not in headers


def test_https_is_for_ever_where_it_is(api: Api) -> None:
    state = api.app.state.tunegate
    gate = replace(state.gate, public_url="https://tunegate.acme.com")
    api.app.state.tunegate = replace(state, gate=gate)
    assert api("GET", "/healthz").headers["strict-transport-security"] == "max-age=31536000"
    api.app.state.tunegate = state
    over_tls = TestClient(api.app, base_url="https://testserver")
    assert "strict-transport-security" in over_tls.get("/healthz").headers


class Page(HTMLParser):
    """What a page loads, and what of it a strict policy would not run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self._within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._within = tag
        if tag in ("script", "link", "img"):
            self.loads.append(given.get("src") or given.get("href") or "")
        self.inline += [name for name in given if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style") and data.strip():
            self.inline.append(data)


def test_the_documentation_needs_no_other_host_and_no_inline_script(api: Api) -> None:
    answer = api("GET", "/docs", as_="nobody")
    assert answer.headers["content-type"].startswith("text/html")
    directives = dict(one.strip().split(" ", 1) for one in answer.headers["content-security-policy"].split(";"))
    assert directives["default-src"] == directives["frame-ancestors"] == directives["base-uri"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == directives["connect-src"] == "'self'"
    assert "unsafe" not in str(directives)
    assert "*" not in str(directives)
    page = Page(answer.text)
    assert not page.inline
    assert len(page.loads) == 4
    for path in page.loads:
        assert path.startswith("/static/")
        loaded = api("GET", path, as_="nobody")
        assert (loaded.status_code, loaded.headers["x-content-type-options"]) == (200, "nosniff")
        assert re.match(r"(text|application)/(javascript|css)|image/png", loaded.headers["content-type"])


OTHER_FILES = (
    "/../app.py",
    "/%2e%2e/app.py",
    "/..%2f..%2fapp.py",
    "//etc/passwd",
    "",
    "/",
    "/vendor",
    "/vendor/swagger/",
)


@pytest.mark.parametrize("path", OTHER_FILES)
def test_static_files_are_those_files_only(api: Api, path: str) -> None:
    answer = api("GET", f"/static{path}", as_="nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_what_is_served_is_in_the_package_and_in_the_image() -> None:
    assert (STATIC / "vendor" / "swagger" / "LICENSE").is_file()
    assert 'packages = ["service"' in (ROOT / "pyproject.toml").read_text()
    assert "COPY service /app/service" in (ROOT / "Dockerfile").read_text()
    assert "!service" in (ROOT / ".dockerignore").read_text().splitlines()


def test_other_origins_may_not_call(api: Api) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for answer in (api("GET", "/flavors", headers=asked), api("OPTIONS", "/runs", headers=asked)):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_origins_that_are_named_may(api: Api) -> None:
    app = create_app(api.app.state.tunegate, on_stop=lambda: None, origins=("https://board.acme.com",))
    client = TestClient(app)
    asked = {"origin": "https://board.acme.com", "access-control-request-method": "POST"}
    early = client.options(
        "/runs", headers={**asked, "access-control-request-headers": "authorization, idempotency-key"}
    )
    assert (early.status_code, early.headers["access-control-allow-origin"]) == (200, "https://board.acme.com")
    headers = {**asked, "authorization": f"Bearer {api.keys['member']}"}
    answer = client.get("/flavors", headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://board.acme.com"
    assert "access-control-allow-credentials" not in answer.headers
    for other in ("https://evil.example", "https://board.acme.com.evil.example", "null"):
        assert "access-control-allow-origin" not in client.get("/flavors", headers={**headers, "origin": other}).headers


INSIDE = re.compile(
    r"(?i)traceback|File \"|\.py|/tmp|/root|/home|sqlite|psycopg|select |insert |operational|no such table|relation "
)
TABLES = ("run", "budget", "ledger_entry")


@contextmanager
def without_tables(api: Api) -> Iterator[None]:
    """As after a migration that went wrong."""
    for to, back in (("gone_", ""), ("", "gone_")):
        with api.world.db.engine.begin() as connection:
            for table in TABLES:
                connection.execute(text(f"ALTER TABLE {back}{table} RENAME TO {to}{table}"))
        if to:
            yield


@pytest.mark.parametrize("path", ["/runs", "/runs/{run_id}", "/teams/research/budget", "/readyz", "/usage", "/metrics"])
def test_a_real_fault_tells_nothing_of_the_inside(api: Api, path: str) -> None:
    run_id = submit(api)["id"]
    with without_tables(api):
        answer = api("GET", path.format(run_id=run_id), as_="admin")
    assert answer.status_code in (500, 503), answer.text
    assert not INSIDE.search(answer.text), answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    if path != "/readyz":
        assert (answer.headers["content-type"], answer.json()["code"]) == ("application/problem+json", "internal_error")
