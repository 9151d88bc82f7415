"""A run's page, in a browser: a training that is watched live, its log, its money, its buttons; every state in the
dark, on a phone, and for who does not see it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from service.sandbox.serve import SandboxServer
from tests.browser.conftest import PHONE, accessible, fits_a_phone
from tests.browser.test_queue import submit
from tests.processes import Service

Browse = Callable[..., Page]
TRL = {
    "kind": "trl_sft",
    "model_name_or_path": "HuggingFaceTB/SmolLM3-3B",
    "dataset_name": "trl-lib/Capybara",
    "args": {"max_steps": 100, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
    "lora": {"r": 8},
}
OOM = "Traceback (most recent call last):\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
HOSTILE = "<img src=x onerror=alert(1)> UserWarning: <b>look</b>"


def log_of(steps: int, total: int = 400) -> str:
    lines = (
        f"{{'loss': '{3 - step / 200:.3f}', 'learning_rate': '5e-05', 'step': {step}, 'total_steps': {total}}}"
        for step in range(1, steps + 1)
    )
    return "\n".join((HOSTILE, *lines))


def trained(service: Service, seconds: float, steps: int, **fields: Any) -> str:
    env = {"SANDBOX_RUN_SECONDS": str(seconds), "SANDBOX_LOG": log_of(steps)}
    return submit(service, env=env, **fields)


def failed(service: Service) -> str:
    env = {"SANDBOX_RUN_SECONDS": "1", "SANDBOX_EXIT_CODE": "1", "SANDBOX_LOG": OOM}
    more = {"flavor": "a10g-large", "timeout": "30m", "force": True, "output_repo": "acme/tiny-oom"}
    run_id = submit(service, recipe=TRL, env=env, **more)
    assert service.until_end(run_id)["failure"]["cause"] == "cuda_oom"
    return run_id


def step_of(page: Page) -> int:
    found = re.search(r"Step ([\d,]+) of", page.locator("#headline").inner_text())
    return 0 if found is None else int(found[1].replace(",", ""))


def lines(page: Page) -> Locator:
    return page.locator("#log-lines .line")


def test_a_training_is_watched_live(browse: Browse, service: Service, sandbox: SandboxServer) -> None:
    run_id = trained(service, 40, 300)
    page = browse("lead", f"/ui/runs/{run_id}")
    expect(page.locator(".state").first).to_have_text("running")
    expect(page.locator("#headline")).to_contain_text(re.compile(r"Step \d+ of 400, ends at about"), timeout=12_000)
    first, seen = step_of(page), lines(page).count()
    expect(page.locator("figure.chart canvas").first).to_be_visible()
    assert '"label": "ends"' in str(page.locator("figure.chart script").first.text_content())
    expect(page.locator("#cost")).to_have_text(re.compile(r"^\$0\.000167$"))
    expect(page.locator("#headline")).not_to_contain_text(f"Step {first} of", timeout=12_000)
    assert step_of(page) > first
    assert lines(page).count() > seen, "the log was followed meanwhile"
    pane = page.locator("#log-lines")
    assert pane.evaluate("(pane) => pane.scrollHeight - pane.scrollTop - pane.clientHeight") < 24
    pane.evaluate("(pane) => { pane.scrollTop = 0 }")
    expect(page.get_by_role("button", name="Follow", exact=True)).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Follow", exact=True).click()
    expect(page.get_by_role("button", name="Following")).to_have_attribute("aria-pressed", "true")
    numbers = lines(page).evaluate_all("(rows) => rows.map((row) => Number(row.dataset.number))")
    assert numbers == list(range(len(numbers))), "each line once, in order"
    job = service("GET", f"/runs/{run_id}").json()["hub_job"]["id"]
    httpx2.post(f"{sandbox.url}/sandbox/jobs/{job}", json={"stage": "COMPLETED"}).raise_for_status()
    expect(page.locator(".state").first).to_have_text("succeeded", timeout=15_000)
    expect(page.locator("#headline")).to_contain_text("Done after")
    expect(page.get_by_role("button", name="Following")).to_have_count(0)


def test_the_log_is_searched_and_coloured_and_holds_no_code(browse: Browse, service: Service) -> None:
    run_id = trained(service, 1, 400)
    service.until_end(run_id)
    page = browse("viewer", f"/ui/runs/{run_id}")
    expect(lines(page)).to_have_count(300)
    find = page.get_by_label("Find in the log")
    page.keyboard.press("/")
    expect(find).to_be_focused()
    find.fill("'step': 38")
    expect(page.locator("#log-count")).to_have_text("10 lines")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#log-count")).to_have_text("2 of 10 lines")
    expect(page.locator("#log-lines mark.now")).to_be_in_viewport()
    find.fill("look")
    expect(page.locator("#log-count")).to_have_text("in no line here")
    page.get_by_role("button", name="In the whole log").click()
    expect(page.locator("#log-count")).to_have_text("1 line")
    expect(page.locator("#log-lines .line.warn")).to_contain_text(HOSTILE)
    expect(page.locator("#log-lines img")).to_have_count(0)
    page.get_by_role("button", name="Back to its end").click()
    expect(lines(page)).to_have_count(300)
    page.get_by_role("link", name="whole text").click()
    expect(page.locator("body")).to_contain_text("'step': 400")


def test_a_failure_is_repaired_by_one_button(browse: Browse, service: Service) -> None:
    run_id = failed(service)
    page = browse("lead", f"/ui/runs/{run_id}")
    expect(page.locator("#failure")).to_have_text("Why it failed: out of GPU memory")
    expect(page.locator(".evidence")).to_contain_text("torch.OutOfMemoryError")
    page.get_by_text("Submit it anew with other changes").click()
    page.get_by_label("Changes").fill("{no json")
    page.get_by_role("button", name="Submit anew").click()
    expect(page.get_by_role("alert").filter(has_text="Refused.")).to_be_visible()
    expect(page.get_by_label("Changes")).to_have_value("{no json")
    accessible(page)
    page.get_by_role("button", name=re.compile(r"Retry with this change, about \$")).click()
    page.wait_for_url(re.compile(f"/ui/runs/run_(?!{run_id[4:]})"))
    expect(page.get_by_role("status").filter(has_text="this is the new run")).to_be_visible()
    expect(page.get_by_role("link", name="differences")).to_be_visible()
    page.get_by_role("link", name="differences").click()
    expect(page.get_by_role("row", name=re.compile("per_device_train_batch_size"))).to_contain_text("8")
    accessible(page)


def test_a_run_is_cancelled_by_its_button_once_one_is_sure(browse: Browse, service: Service) -> None:
    run_id = trained(service, 100, 10)
    page = browse("lead", f"/ui/runs/{run_id}")
    expect(page.locator(".state").first).to_have_text("running")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Cancel").click()
    assert service("GET", f"/runs/{run_id}").json()["cancel_requested_at"] is None
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".state").first).to_have_text("cancelled", timeout=15_000)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


@pytest.mark.parametrize("look", [{}, {"color_scheme": "dark"}, {"viewport": PHONE}], ids=["light", "dark", "phone"])
def test_every_state_is_for_everybody(browse: Browse, service: Service, look: dict[str, Any], shown: list[str]) -> None:
    page = browse("lead", **look)
    for run_id in shown:
        page.goto(f"/ui/runs/{run_id}")
        expect(page.locator("#headline")).not_to_be_empty()
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        if "viewport" in look:
            fits_a_phone(page)
        else:
            accessible(page, *(["color-contrast"] if "color_scheme" in look else []))


@pytest.fixture(scope="module")
def shown(service: Service) -> list[str]:
    """A run that waits, one that trains, one that failed, one that succeeded."""
    done = trained(service, 1, 300, webhooks=[{"url": f"{service.url}/healthz", "events": ["run.*"], "secret": SECRET}])
    waits = submit(service, after=[(trains := trained(service, 60, 300))])
    service.until_end(done)
    return [waits, trains, failed(service), done]


SECRET = "whsec_" + "A" * 43 + "="
