"""A real browser (Debian's chromium) before a real service with the sandbox behind it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from service.sandbox.serve import Options, SandboxServer
from tests.processes import Service

# Beside these, chromium asks its maker's hosts for this and that, which nobody here answers.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What a browser says of a refusal, which the page tells, too.
REFUSED = re.compile(r"responded with a status of (401|403|409|422)")
PHONE = {"width": 360, "height": 740}
# WCAG 2.2 AA and what it builds on
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Charts follow the width of their page a moment later: so many frames at most.
DRAWN = """new Promise((done) => {
  const isWide = () => [...document.querySelectorAll(".plot canvas")].some((one) => one.clientWidth >= innerWidth);
  let frames = 300;
  const look = () => isWide() && frames-- ? requestAnimationFrame(look) : done();
  look();
})"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    """Jobs end by the clock, as their environment says (`SANDBOX_RUN_SECONDS`, `SANDBOX_LOG`, …)."""
    with SandboxServer(Options(folder=tmp_path_factory.mktemp("jobs"), execute=False)) as server:
        yield server


@pytest.fixture(scope="module")
def service(sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all tests of a file, with a team that has money, and a key of each role in `service.keys`."""
    with Service(tmp_path_factory.mktemp("service"), sandbox.url) as started:
        assert started("POST", "/teams", {"name": "research"}).status_code == 201
        assert started("PUT", "/teams/research/budget", {"limit_usd": 600}).status_code == 200
        for role in ("lead", "member", "viewer"):
            body = {"name": role, "user": f"{role}@acme.com", "role": role}
            started.keys[role] = started("POST", "/teams/research/keys", body).json()["key"]
        yield started


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path is not None, "install chromium (Debian's package), as .ci/run does"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium: Browser, service: Service) -> Iterator[Callable[..., Page]]:
    """`browse(as_="lead")` is a page of somebody signed in; options as of `new_context` (color_scheme, viewport).

    Whatever a page logs as an error, or asks of another host, fails the test at its end.
    """
    contexts, troubles = [], []

    def own(url: str) -> bool:
        return url.startswith((service.url, "data:"))

    def is_trouble(said: ConsoleMessage) -> bool:
        """That the API refused a form is an answer to it."""
        is_refusal = "/ui/do/" in said.location["url"] and "a status of 4" in said.text
        return said.type == "error" and not is_refusal

    def start(as_: str | None = "lead", path: str = "/", **options: Any) -> Page:
        context = chromium.new_context(base_url=service.url, reduced_motion="reduce", **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: troubles.extend([said.text] if said.type == "error" else []))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda asked: troubles.extend([] if own(asked.url) else [asked.url]))
        if as_ is not None:
            page.goto("/sign-in")
            page.get_by_label("API key").fill(service.keys[as_])
            page.get_by_role("button", name="Sign in").first.click()
            page.wait_for_url("**/")
        if as_ is None or path != "/":
            page.goto(path)
        return page

    yield start
    for context in contexts:
        context.close()
    unexpected = [one for one in troubles if not REFUSED.search(one)]
    assert not unexpected, unexpected


def accessible(page: Page, *rules: str) -> None:
    """What axe finds wrong with the page as it stands: nothing, by all rules or by these alone."""
    which = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": RULES}
    found = Axe().run(page, options={"runOnly": which})
    assert found.violations_count == 0, found.generate_report()


def readable_in_the_dark(page: Page) -> None:
    """What the other theme changes of that: colours, and nothing else."""
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    accessible(page, "color-contrast")


def fits_a_phone(page: Page) -> None:
    """Nothing scrolls sideways, once charts are drawn anew."""
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.evaluate(DRAWN)
    wide = page.evaluate(
        """[...document.querySelectorAll("body *")].filter((one) => !one.closest(".skip, .unseen, pre"))
           .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
           .map((one) => one.outerHTML.slice(0, 200))"""
    )
    assert not wide, wide
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "something is wider than the phone"
