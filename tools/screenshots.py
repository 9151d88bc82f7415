"""`make screenshots`: pictures of the dashboard over a populated service, with Debian's chromium."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, sync_playwright

from service import server
from tests.browser.conftest import FLAGS
from tools.populated import Populated, populated

WIDE, PHONE = {"width": 1240, "height": 900}, {"width": 390, "height": 844}


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application on a free port of this machine; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(server.config(app, "127.0.0.1", 0))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join()


def pictures(made: Populated) -> dict[str, tuple[str, dict[str, object]]]:
    """Which page each picture shows, and how it is looked at."""
    runs = made.runs
    return {
        "queue": ("/", {}),
        "queue-dark": ("/", {"color_scheme": "dark"}),
        "queue-phone": ("/", {"viewport": PHONE}),
        "run": (f"/ui/runs/{runs['sql-agent-v4']}", {}),
        "failed-run": (f"/ui/runs/{runs['smollm3-sft']}", {}),
        "sweep": (f"/ui/automation/sweeps/{made.sweep}", {}),
        "money": ("/ui/money", {}),
        "new-run": ("/ui/new", {}),
        "admin": ("/ui/admin", {}),
    }


def take(browser: Browser, url: str, made: Populated, folder: Path, only: list[str]) -> None:
    """Each as somebody who leads the team sees it."""
    for name, (path, look) in pictures(made).items():
        if only and name not in only:
            continue
        given = {"viewport": WIDE, "reduced_motion": "reduce", "device_scale_factor": 1.5, **look}
        context = browser.new_context(base_url=url, **given)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto("/sign-in")
        page.get_by_label("API key").fill(str(made.api.keys["lead"]))
        page.get_by_role("button", name="Sign in").first.click()
        page.wait_for_url("**/")
        page.goto(path)
        if name == "new-run":
            page.get_by_label("Model", exact=False).first.fill("HuggingFaceTB/SmolLM3-3B-Base")
            page.get_by_label("Dataset", exact=False).first.fill("HuggingFaceTB/smoltalk2_everyday_convs_think")
            page.get_by_label("Model goes to").fill("acme/smollm3-sft")
            page.get_by_label("At most").fill("5")
            page.get_by_label("At most").press("Tab")
            page.get_by_text("On each hardware").wait_for()
        page.wait_for_timeout(700)  # charts are drawn, times are told
        page.screenshot(path=folder / f"{name}.png")
        context.close()


def main() -> None:
    """`python -m tools.screenshots FOLDER [NAME …]`."""
    folder, only = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    path = shutil.which("chromium")
    assert path is not None, "install chromium (Debian's package)"
    with (
        tempfile.TemporaryDirectory() as work,
        populated(Path(work)) as made,
        served(made.app) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        take(browser, url, made, folder, only)
        browser.close()


if __name__ == "__main__":
    main()
