"""Money, in a browser: the window burning down, its forms, live, in the dark and on a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import accessible, fits_a_phone, readable_in_the_dark
from tests.browser.test_queue import submit
from tests.processes import Service

Browse = Callable[..., Page]
MONEY = "/ui/money"


@pytest.fixture(scope="module", autouse=True)
def spent(service: Service) -> None:
    """One run that was useful, one that was not."""
    good = submit(service, env={"SANDBOX_RUN_SECONDS": "1"})
    bad = submit(service, env={"SANDBOX_RUN_SECONDS": "1", "SANDBOX_EXIT_CODE": "1", "SANDBOX_LOG": "ValueError: no"})
    for run_id in (good, bad):
        service.until_end(run_id)


@pytest.mark.parametrize("role", ["admin", "viewer"])
def test_it_is_accessible_in_both_themes_and_fits_a_phone(browse: Browse, role: str) -> None:
    page = browse(role, f"{MONEY}?team=research")
    expect(page.get_by_role("heading", level=1)).to_contain_text("is left for research this month")
    expect(page.locator("figure.chart canvas").first).to_be_visible()
    if role == "admin":
        for closed in page.locator("main details").all():
            closed.locator("summary").click()
    accessible(page)
    readable_in_the_dark(page)
    fits_a_phone(page)


def test_a_budget_is_set_granted_refused_and_ended_where_it_stands(browse: Browse) -> None:
    page = browse("admin", f"{MONEY}?team=research")
    page.get_by_text("Another budget for the team or a user of it").click()
    form = page.locator("form", has=page.get_by_role("button", name="Set the budget"))
    form.get_by_label("Each").select_option("day")
    form.get_by_label("Limit").fill("much")
    form.get_by_role("button", name="Set the budget").click()
    expect(form.get_by_role("alert")).to_contain_text("Refused.")
    expect(form.get_by_label("Limit")).to_have_value("much")
    expect(form.get_by_label("Limit")).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_label("Limit")).to_be_focused()
    form.get_by_label("Limit").fill("12")
    form.get_by_role("button", name="Set the budget").click()
    expect(page.get_by_role("status").filter(has_text="The budget is set.")).to_be_visible()
    card = page.locator(".budget", has=page.get_by_role("heading", name="research, today"))
    expect(card).to_contain_text("$12.00 free of $12.00")
    card.get_by_text("Change this budget").click()
    card.get_by_label("Grant").fill("3")
    card.get_by_role("button", name="Grant").click()
    expect(card).to_contain_text("$15.00 free of $15.00")
    page.on("dialog", lambda asked: asked.accept())
    card.get_by_text("Change this budget").click()
    card.get_by_role("button", name="End this budget").click()
    expect(card).to_have_count(0)


def runs_on_cpu(page: Page) -> Locator:
    """How many runs the table counts on that hardware."""
    row = page.locator("tr", has=page.get_by_role("cell", name="cpu-basic", exact=True))
    return row.locator("[data-label=runs]")


def test_what_is_charged_appears_by_itself_and_leaves_a_form_as_it_is(browse: Browse, service: Service) -> None:
    page = browse("admin", f"{MONEY}?team=research")
    before = int(runs_on_cpu(page).inner_text())
    service.until_end(submit(service, env={"SANDBOX_RUN_SECONDS": "1"}))
    expect(runs_on_cpu(page)).to_have_text(str(before + 1))
    page.get_by_text("Another budget for the team or a user of it").click()
    page.locator("#new-limit").fill("7")
    page.get_by_role("heading", level=1).click()
    service.until_end(submit(service, env={"SANDBOX_RUN_SECONDS": "1"}))
    expect(runs_on_cpu(page)).to_have_text(str(before + 2))
    expect(page.locator("#new-limit")).to_be_visible()
    expect(page.locator("#new-limit")).to_have_value("7")


def test_bills_are_imported_from_a_file(browse: Browse) -> None:
    page = browse("admin", MONEY)
    rows = b"job_id,cost_usd\n6925d0f1c0ffee0123456789,0.334\n"
    bills = {"name": "bills.csv", "mimeType": "text/csv", "buffer": rows}
    page.get_by_label("Statement").set_input_files([bills])  # type: ignore[list-item]
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("status").filter(has_text="1 rows: 0 are jobs of this service")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="by flavor").click()
    assert "cpu-basic" in download.value.path().read_text()
