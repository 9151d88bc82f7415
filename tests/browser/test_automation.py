"""Automation, in a browser: sweeps, schedules and triggers with their buttons, a sweep's points live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import accessible, fits_a_phone, readable_in_the_dark
from tests.processes import Service

Browse = Callable[..., Page]
PAGE = "/ui/automation"
RUN = {"recipe": {"kind": "script", "source": "print(1)"}, "flavor": "cpu-basic", "timeout": "10m"}
SWEPT = {
    **RUN,
    "recipe": {**RUN["recipe"], "args": ["--learning-rate", "{{learning_rate}}"]},  # type: ignore[dict-item]
    "env": {"SANDBOX_LOG": "{'eval_loss': {{learning_rate}}, 'step': 20}", "SANDBOX_RUN_SECONDS": "4"},
}


def made(service: Service, path: str, **fields: Any) -> str:
    answer = service("POST", path, {"team": "research", **fields})
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


def sweep(service: Service, name: str) -> str:
    grid = {"learning_rate": [0.5, 0.25]}
    return made(service, "/sweeps", name=name, run=SWEPT, grid=grid, max_cost_usd=1, early_stopping={"factor": 2})


@pytest.fixture(scope="module", autouse=True)
def origins(service: Service) -> None:
    """One of each, and one that is paused."""
    when = {"cron": "30 2 * * 1-5", "time_zone": "Europe/Berlin"}
    made(service, "/schedules", name="nightly with a name of some length", run=RUN, **when)
    made(service, "/schedules", name="paused", run=RUN, every="6h", paused=True)
    made(service, "/triggers", name="chats", repo_type="dataset", repo="acme/tiny-chat-data", run=RUN)


@pytest.mark.parametrize("role", ["lead", "viewer"])
def test_it_is_accessible_in_both_themes_and_fits_a_phone(browse: Browse, service: Service, role: str) -> None:
    sweep_id = sweep(service, f"for a {role}")
    page = browse(role, PAGE)
    expect(page.get_by_role("link", name="Automation")).to_have_attribute("aria-current", "page")
    expect(page.locator(f"#{sweep_id}")).to_contain_text("loss 0.25", timeout=30_000)
    for path in (PAGE, f"{PAGE}/sweeps/{sweep_id}"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        accessible(page)
        readable_in_the_dark(page)
        fits_a_phone(page)
        page.set_viewport_size({"width": 1280, "height": 800})


def test_a_schedule_is_paused_resumed_and_run_where_it_stands(browse: Browse, service: Service) -> None:
    page = browse("lead", PAGE)
    row = page.locator("tr", has_text="nightly")
    row.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status").filter(has_text="It makes no runs until it is resumed.")).to_be_visible()
    expect(row).to_contain_text("by lead@acme.com")
    row.get_by_role("button", name="Resume").click()
    expect(row.get_by_role("button", name="Pause")).to_be_visible()
    row.get_by_role("button", name="Run now").click()
    page.wait_for_url("**/ui/runs/run_*")
    page.get_by_role("link", name="nightly with a name of some length").click()
    page.wait_for_url(f"**{PAGE}#sch_*")


def test_a_sweeps_page_follows_its_points_until_the_best_is_known(browse: Browse, service: Service) -> None:
    page = browse("lead", PAGE)
    sweep_id = sweep(service, "live")
    page.locator(f"#{sweep_id}").get_by_role("link", name="live").click()
    expect(page.locator("#headline")).to_contain_text("the best is point 2, with a loss of 0.25.", timeout=30_000)
    expect(page.locator("#point-2")).to_contain_text("The best.")
    page.keyboard.press("j")
    expect(page.locator("#point-1").get_by_role("link", name="point 1")).to_be_focused()


def test_a_sweep_is_cancelled(browse: Browse, service: Service) -> None:
    long = {**SWEPT, "env": {"SANDBOX_RUN_SECONDS": "600"}}
    sweep_id = made(service, "/sweeps", name="long", run=long, grid={"learning_rate": [1, 2]}, max_cost_usd=1)
    page = browse("lead", f"{PAGE}/sweeps/{sweep_id}")
    page.on("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#headline")).to_contain_text("Cancelled by lead@acme.com.", timeout=30_000)
