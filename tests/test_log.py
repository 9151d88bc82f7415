"""Logs are JSON lines and hold no variables of ours."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator

import httpx2
import pytest
import structlog

from service import log
from service.hub.client import HubClient
from tests.conftest import LOG, Clock


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    file = io.StringIO()
    log.configure("INFO", file)
    yield file
    log.configure("DEBUG", LOG)


def test_a_traceback_is_logged_without_the_values_of_its_frames(written: io.StringIO) -> None:
    token = "hf_a_secret_token"
    try:
        raise ValueError("something broke") from KeyError(len(token))
    except ValueError:
        structlog.get_logger().exception("step_failed", step="watch", run_id="run_1")
    entry = json.loads(written.getvalue())
    assert (entry["event"], entry["run_id"], entry["level"]) == ("step_failed", "run_1", "error")
    assert "something broke" in written.getvalue()
    assert token not in written.getvalue()


HOSTILE = 'x\r\n{"event": "forged"}\x1b[2J\x07\x7f\u2028\x85\x9b'


def entries(written: io.StringIO) -> list[dict[str, object]]:
    text = written.getvalue()
    assert not [sign for sign in text if (not sign.isprintable() and sign != "\n") or sign in "\u2028\u2029\x85\x9b"]
    return [json.loads(line) for line in text.splitlines()]


def test_nobody_writes_lines_of_their_own(written: io.StringIO) -> None:
    structlog.get_logger().info("seen", path=HOSTILE, nested={"list": [HOSTILE]})
    logging.getLogger("some.library").warning("saw %s", HOSTILE)
    logging.getLogger("another.library").error("Exception in ASGI application\n", exc_info=ValueError(HOSTILE))
    found = entries(written)
    assert [one["event"] != "forged" for one in found] == [True] * 3
    assert found[1]["logger"] == "some.library"
    assert found[0]["path"] == HOSTILE


TOKEN = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh"


def test_no_line_holds_a_token_or_a_secret_of_the_settings() -> None:
    file = io.StringIO()
    log.configure("INFO", file, secrets=["plain-secret", "plain-secret-and-more", ""])
    try:
        structlog.get_logger().info("seen", url=f"https://x/?t={TOKEN}", deep=[{"a": ("plain-secret-and-more",)}])
        logging.getLogger("some.library").error("with %s", {"authorization": TOKEN}, exc_info=KeyError("plain-secret"))
        raised = threading.Thread(target=lambda: {}[TOKEN])
        raised.start()
        raised.join()
    finally:
        log.configure("DEBUG", LOG)
    found = entries(file)
    assert [one["event"] for one in found if "event" in one][0::2] == ["seen", "thread_ended"]
    assert TOKEN not in file.getvalue()
    assert "plain-secret" not in file.getvalue()
    assert "-and-more" not in file.getvalue()


def test_a_library_writes_nothing_beside(written: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    """A warning that huggingface_hub passes on from the other side (trap 20)."""
    headers = {"x-hf-warning": f"topic-{id(written)}; \x1b[31mbuy\x9b {TOKEN}".encode("latin-1")}
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, json=[], headers=headers))
    HubClient("http://hub.test", "hf_a", "hf_b", clock=Clock(), transport=transport).list_jobs("acme", {})
    [entry] = entries(written)
    assert entry["logger"] == "huggingface_hub.utils._http"
    assert capfd.readouterr() == ("", "")
    assert TOKEN not in written.getvalue()
