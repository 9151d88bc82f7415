"""Admin, in a browser: from a new team to its first key, the inbox, endpoints, the kill switch; each page's look."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import accessible, fits_a_phone, readable_in_the_dark
from tests.browser.test_queue import submit
from tests.processes import Service
from tests.receiver import Receiver

Browse = Callable[..., Page]
PAGES = ("", "/teams", "/teams/research", "/teams/research/keys", "/teams/research/secrets", "/organisation?ask=tokens")
RECORDS = ("/endpoints", "/audit", "/strays")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def open_all(page: Page) -> None:
    """Every form that a click opens."""
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true })")


def test_every_page_is_accessible_in_both_themes_and_fits_a_phone(browse: Browse, service: Service) -> None:
    service("PUT", "/teams/research/approval-rules", {"cost_over_usd": 0})
    submit(service, output_repo="acme/awaits-it")
    service("PUT", "/teams/research/approval-rules", {})
    page = browse("admin")
    for path in PAGES + RECORDS:
        page.set_viewport_size({"width": 1400, "height": 900})
        page.goto(f"/ui/admin{path}")
        open_all(page)
        accessible(page)
        readable_in_the_dark(page)
        fits_a_phone(page)


def test_a_team_gets_money_and_a_key_that_signs_in(browse: Browse, service: Service) -> None:
    page = browse("admin", "/ui/admin/teams")
    page.get_by_text("New team").click()
    page.get_by_label("Name").fill("Platform")
    page.get_by_role("button", name="Create the team").click()
    expect(page.locator(".told")).to_contain_text("a team's name is of lower-case letters")
    page.get_by_label("Name").fill("platform")
    page.get_by_role("button", name="Create the team").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("platform")
    page.get_by_role("link", name="Its money").click()
    page.get_by_label("Limit").fill("25")
    page.get_by_role("button", name="Set the budget").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("$25.00 is left for platform this month")
    page.goto("/ui/admin/teams/platform/keys")
    page.locator("#key-name").fill("ci")
    page.get_by_role("button", name="Make the key").dblclick()
    shown = page.locator("#shown-once")
    expect(shown).to_contain_text("tg_")
    made = service("GET", "/teams/platform/keys").json()["data"]
    assert len(made) == 1, "two presses make one key: of a second one nobody would see the secret"
    accessible(page)
    service.keys["platform"] = shown.inner_text().strip()
    page.get_by_role("link", name="I have it").click()
    expect(page.get_by_role("cell", name="ci of ci")).to_be_visible()
    expect(shown).to_have_count(0)
    theirs = browse("platform")
    expect(theirs.locator(".who")).to_contain_text("platform · member · ci")
    expect(theirs.get_by_text("$0.00 of $25.00 used")).to_be_visible()


def test_what_awaits_approval_appears_and_is_decided(browse: Browse, service: Service) -> None:
    page = browse("lead", "/ui/admin")
    service("PUT", "/teams/research/approval-rules", {"cost_over_usd": 0})
    first, second = (submit(service, output_repo=f"acme/{name}-model") for name in ("wanted", "unwanted"))
    yes, no = page.locator(f"#row-{first}"), page.locator(f"#row-{second}")
    yes.get_by_label("Comment").fill("go on")
    yes.get_by_role("button", name="Approve").click()
    expect(yes).to_have_count(0)
    no.get_by_label("Why it is refused").fill("not this week")
    no.get_by_role("button", name="Refuse").click()
    expect(no).to_have_count(0)
    assert service("GET", f"/runs/{first}").json()["approval"]["comment"] == "go on"
    assert service.until_end(second)["message"] == "refused by lead@acme.com: not this week"
    service("PUT", "/teams/research/approval-rules", {})


def test_the_kill_switch_asks_for_the_name(browse: Browse, service: Service) -> None:
    run_id = submit(service, env={"SANDBOX_RUN_SECONDS": "600"})
    page = browse("lead", "/ui/admin/teams/research")
    page.on("dialog", lambda asked: asked.accept())
    page.get_by_text("Kill switch").click()
    page.get_by_label("To be sure").fill("other")
    page.get_by_label("Also pause the team").uncheck()
    page.get_by_role("button", name="Cancel all its runs").click()
    assert service("GET", f"/runs/{run_id}").json()["cancel_requested_at"] is None
    page.get_by_label("To be sure").fill("research")
    page.get_by_role("button", name="Cancel all its runs").click()
    assert service.until_end(run_id)["state"] == "cancelled"


def test_an_endpoint_is_made_tested_seen_and_sent_again(browse: Browse, receiver: Receiver) -> None:
    page = browse("lead", "/ui/admin/endpoints")
    page.get_by_label("Address").fill(receiver.url)
    page.get_by_label("What it is").fill("the board")
    page.get_by_role("button", name="Register it").click()
    expect(page.locator("#shown-once")).to_contain_text("whsec_")
    page.get_by_role("link", name="I have it").click()
    page.get_by_role("button", name="Send a test").click()
    row = page.locator("tr", has=page.get_by_role("link", name="webhook.test"))
    expect(row).to_contain_text("delivered")
    accessible(page)
    row.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status").filter(has_text="It is sent again")).to_be_visible()
    page.get_by_role("link", name="webhook.test").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("webhook.test is")
    expect(page.locator("pre").first).to_contain_text(f"POST {receiver.url}")
    accessible(page)
    fits_a_phone(page)
    assert len(receiver.letters) >= 1
