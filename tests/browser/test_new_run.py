"""The form of a run, in a browser: estimated while it is typed, refused without losing anything, submitted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import accessible, fits_a_phone

Browse = Callable[..., Page]


def fill(page: Page) -> None:
    page.get_by_label("Model on the Hub").fill("HuggingFaceTB/SmolLM3-3B-Base")
    page.get_by_label("Dataset on the Hub").fill("HuggingFaceTB/smoltalk2_everyday_convs_think")
    page.get_by_label("Model goes to").fill("acme/smollm3-form")
    page.get_by_label("At most").fill("3")
    page.get_by_label("At most").press("Tab")


def test_a_run_is_foreseen_refused_mended_and_submitted(browse: Browse) -> None:
    page = browse("member", "/ui/new")
    fill(page)
    estimate = page.locator("#estimate")
    expect(estimate).to_contain_text("cheapest that fits")
    expect(estimate).to_contain_text("trl sft --model_name_or_path HuggingFaceTB/SmolLM3-3B-Base")
    page.get_by_label("How", exact=True).select_option("full")
    expect(estimate).to_contain_text("Too small: ")
    page.get_by_label("How", exact=True).select_option("lora")
    page.get_by_label("learning_rate", exact=True).fill("much")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("#told")).to_contain_text("Refused.")
    expect(page.locator("#told")).to_contain_text("learning_rate")
    expect(page.get_by_label("Model goes to")).to_have_value("acme/smollm3-form")
    page.get_by_label("learning_rate", exact=True).fill("5e-5")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/ui/runs/run_*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("smollm3-form")


def test_any_flag_of_trl_is_found_by_its_name(browse: Browse) -> None:
    page = browse("member", "/ui/new")
    page.get_by_text("Every other flag of TRL").click()
    page.get_by_placeholder("find a flag").fill("neftune")
    expect(page.locator("#others [data-flag]:visible")).to_have_count(1)
    accessible(page)


@pytest.mark.parametrize("path", ["/ui/new", "/ui/new?kind=script", "/ui/runs", "/sign-in"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_used_by_everybody(browse: Browse, path: str, scheme: str) -> None:
    page = browse("member", path, color_scheme=scheme)
    accessible(page)
    fits_a_phone(page)
    accessible(page)


def test_everything_is_reached_by_keyboard(browse: Browse) -> None:
    page = browse("member")
    page.keyboard.press("Tab")
    expect(page.get_by_text("To the content")).to_be_focused()
    page.keyboard.press("n")
    page.wait_for_url("**/ui/new")
    page.keyboard.press("/")
    page.wait_for_url("**/ui/runs#search")
    expect(page.locator("[data-search]")).to_be_focused()


def test_the_theme_that_is_chosen_stays(browse: Browse) -> None:
    page = browse("member", color_scheme="light")
    page.get_by_role("button", name="Dark").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    accessible(page)


def test_a_wrong_key_is_refused_and_a_session_ends(browse: Browse) -> None:
    page = browse(None, "/ui/runs")
    page.get_by_label("API key").fill("tg_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    page = browse("member")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
