"""What the Hub says of a dataset: the viewer is believed only where it has seen all of what is asked for."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from service.domain.facts import DatasetFact, Outcome
from service.hub.client import HubClient
from service.settings import Settings
from tests.conftest import Clock

VIEWER = "http://viewer.test"
SEEN: dict[str, Any] = {
    "dataset_info": {
        "default": {
            "features": {"text": {}},
            "splits": {"train": {"name": "train", "num_examples": 812, "num_bytes": 4096}},
        }
    }
}


def lookup(served: httpx2.Response, asked: list[str]) -> HubClient:
    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        if request.url.host == "viewer.test":
            return served
        files = [{"rfilename": "data/other.parquet", "size": 10}]
        return httpx2.Response(200, json={"sha": "a" * 40, "siblings": files})

    transport = httpx2.MockTransport(answer)
    return HubClient("http://hub.test", "c", "j", clock=Clock(), datasets_server=VIEWER, transport=transport)


def test_the_viewers_rows_and_columns_are_taken_for_the_main_branch() -> None:
    asked: list[str] = []
    fact = lookup(httpx2.Response(200, json=SEEN), asked).lookup.dataset("acme/chats", "main")
    assert (fact.configs["default"]["train"].rows, fact.columns["default"]) == (812, ["text"])
    assert "viewer.test" in asked


@pytest.mark.parametrize(
    "served",
    [
        httpx2.Response(200, json=SEEN | {"pending": [{"config": "de"}]}),
        httpx2.Response(200, json=SEEN | {"failed": [{"config": "de"}]}),
        httpx2.Response(200, json=[1]),
        httpx2.Response(200, content=b"<html>"),
        httpx2.Response(500, json={"error": "x"}),
    ],
)
def test_a_viewer_that_has_not_seen_all_is_no_authority(served: httpx2.Response) -> None:
    fact = lookup(served, []).lookup.dataset("acme/chats", "main")
    assert fact.source == "its files"


def test_another_revision_is_not_what_the_viewer_has_seen() -> None:
    asked: list[str] = []
    assert lookup(httpx2.Response(200, json=SEEN), asked).lookup.dataset("acme/chats", "v1").source == "its files"
    assert "viewer.test" not in asked


@pytest.mark.parametrize(
    ("code", "outcome"), [({}, Outcome.FOUND), ({"x-error-code": "RepoNotFound"}, Outcome.MISSING)]
)
def test_a_hub_that_knows_no_buckets_says_nothing_of_one(code: dict[str, str], outcome: Outcome) -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(404, json={"error": "not found"}, headers=code))
    fact = HubClient("http://hub.test", "c", "j", clock=Clock(), transport=transport).lookup.mount(
        "bucket", "acme/b", "main", ""
    )
    assert fact.outcome is outcome
    assert ("cannot be asked" in fact.message) == (outcome is Outcome.FOUND)


def test_hugging_face_has_a_viewer_and_a_sandbox_none() -> None:
    assert Settings().viewer == "https://datasets-server.huggingface.co"
    assert Settings(hf_endpoint="http://127.0.0.1:1").viewer is None
    assert (
        Settings(hf_endpoint="http://127.0.0.1:1", datasets_server="http://127.0.0.1:2/").viewer == "http://127.0.0.1:2"
    )


def dataset_of(*files: tuple[str, httpx2.Response]) -> DatasetFact:
    """What is told of a dataset with these files, whose sizes the Hub does not tell."""
    answers = dict(files)

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.startswith("/api/"):
            return httpx2.Response(200, json={"sha": "a" * 40, "siblings": [{"rfilename": name} for name in answers]})
        return answers[request.url.path.rpartition("/")[2]]

    client = HubClient("http://hub.test", "c", "j", clock=Clock(), transport=httpx2.MockTransport(answer))
    return client.lookup.dataset("acme/chats", "main")


def test_a_part_of_an_empty_file_is_refused_and_the_file_is_empty() -> None:
    fact = dataset_of(("train.jsonl", httpx2.Response(416, json={"error": "Range not satisfiable"})))
    assert fact.wrong_in == {"default": {"train": "cannot be loaded: train.jsonl is empty"}}


def test_a_file_that_is_not_given_out_leaves_its_columns_open() -> None:
    gone = httpx2.Response(404, json={"error": "x"}, headers={"x-error-code": "EntryNotFound"})
    fact = dataset_of(("train.jsonl", gone))
    assert (fact.outcome, fact.columns, set(fact.configs["default"])) == (Outcome.FOUND, {}, {"train"})
