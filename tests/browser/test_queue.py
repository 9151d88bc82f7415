"""The queue, in a browser: what waits and why, live, by keyboard, in the dark and on a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import accessible, fits_a_phone
from tests.processes import Service

Browse = Callable[..., Page]
SCRIPT = {"kind": "script", "source": "print(1)\n"}
LOG = "\n".join(f"{{'loss': '{3 - step / 100:.3f}', 'step': {step}, 'total_steps': 200}}" for step in range(1, 101))


def submit(service: Service, **fields: object) -> str:
    body = {"recipe": SCRIPT, "flavor": "cpu-basic", "timeout": "10m", "team": "research", **fields}
    answer = service("POST", "/runs", body)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


@pytest.mark.parametrize("look", [{}, {"color_scheme": "dark"}], ids=["light", "dark"])
def test_an_empty_queue_teaches_the_first_run(browse: Browse, look: dict[str, str]) -> None:
    page = browse("lead", **look)
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing runs, nothing waits")
    expect(page.get_by_text("tunegate submit")).to_be_visible()
    accessible(page)
    fits_a_phone(page)


def test_a_run_appears_by_itself_trains_and_leaves(browse: Browse, service: Service) -> None:
    page = browse("lead")
    # longer than the five seconds after which a page looks for steps and losses, which are no events
    run_id = submit(service, env={"SANDBOX_RUN_SECONDS": "9", "SANDBOX_LOG": LOG}, output_repo="acme/tiny-live")
    row = page.locator(f"#row-{run_id}")
    expect(row).to_contain_text("tiny-live")
    expect(row.locator(".state")).to_have_text("running")
    expect(row).to_contain_text("of 200, loss", timeout=8_000)
    expect(row).to_have_count(0, timeout=15_000)
    accessible(page)


def test_a_queue_is_read_at_every_width(browse: Browse, service: Service) -> None:
    submit(service, env={"SANDBOX_RUN_SECONDS": "600"}, output_repo="acme/a-model-with-quite-a-long-name-to-show")
    page = browse("lead")
    for width in (360, 640, 768, 1000, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        cell = page.locator("table.runs tbody td:nth-child(3)").first
        box = cell.bounding_box()
        assert box is not None
        assert box["width"] >= 250, f"at {width} pixels"
