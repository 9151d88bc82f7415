"""A run whose script is at an address: fetched once before admission, checked, kept; what was kept is what runs."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from service.domain.errors import ImageNotAllowed, Invalid
from service.domain.job import IMAGE
from service.flow import prepare
from service.flow.change import change
from service.store import runs
from tests.flow.conftest import World
from tests.shelf import Answer, Shelf

SOURCE = "print('from afar')\n"
TOKEN = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH"


@pytest.fixture
def shelf(world: World) -> Iterator[Shelf]:
    world.limit(script_allowed_targets=("127.0.0.1",))
    with Shelf() as shelf:
        yield shelf


def submit(world: World, url: str, recipe: dict[str, Any] | None = None, **fields: Any) -> str:
    return world.enqueue(recipe={"kind": "script", "url": url, **(recipe or {})}, **fields)


def what_ran(world: World, run_id: str) -> str:
    [job] = world.jobs_of(run_id)
    return gzip.decompress(base64.b64decode(job.spec.environment["TUNEGATE_SCRIPT"])).decode()


def test_a_run_by_address_waits_for_its_script_and_runs_what_was_kept(world: World, shelf: Shelf) -> None:
    url = shelf.put("/x.py", SOURCE)
    run_id = submit(world, url, seconds=5)
    assert shelf.asked == []  # a POST asks nobody
    shown = world.show(run_id)
    assert (shown["reason"], shown["message"]) == ("checking", "its script is fetched and checked first")
    assert prepare.run_once(world.gate) == 1
    kept = world.show(run_id)["recipe"]
    assert (kept["source"], kept["url"]) == (SOURCE, url)
    assert kept["sha256"] == hashlib.sha256(SOURCE.encode()).hexdigest()
    shelf.put("/x.py", "print('changed after review')\n")
    world.until_end(run_id)
    assert world.run(run_id).state == "succeeded"
    assert what_ran(world, run_id) == SOURCE
    assert len(shelf.asked) == 1


def test_it_is_not_admitted_before(world: World, shelf: Shelf) -> None:
    from service.flow import admit, preflight

    run_id = submit(world, shelf.put("/x.py", SOURCE))
    assert admit.run_once(world.gate) == 0

    def make_urgent(session: Any) -> None:
        run = runs.lock(session, run_id)
        assert run is not None
        change(session, run, {"priority": 90}, world.clock.now)

    world.db.write(make_urgent)
    assert admit.run_once(world.gate) == 0  # a change of the run does not bring it past
    assert world.run(run_id).state == "queued"
    prepare.run_once(world.gate)
    preflight.run_once(world.gate)
    assert admit.run_once(world.gate) == 1


def test_prepared_twice_is_fetched_and_kept_once(world: World, shelf: Shelf) -> None:
    run_id = submit(world, shelf.put("/x.py", SOURCE))
    before = world.run(run_id)
    assert prepare.prepare_one(world.gate, before)
    shelf.put("/x.py", "print(2)\n")
    assert not prepare.prepare_one(world.gate, before)  # a second process that had read it earlier
    assert not prepare.prepare_one(world.gate, world.run(run_id))
    assert world.run(run_id).recipe["source"] == SOURCE


def test_a_run_that_awaits_approval_or_is_paused_is_prepared_meanwhile(world: World, shelf: Shelf) -> None:
    run_id = submit(world, shelf.put("/x.py", SOURCE), after=[world.enqueue(seconds=60)])
    prepare.run_once(world.gate)
    assert world.run(run_id).recipe["source"] == SOURCE
    assert world.run(run_id).reason == "waiting_for_dependency"


@pytest.mark.parametrize(
    ("text", "recipe", "says"),
    [
        (f"login('{TOKEN}')", {}, "holds what looks like a Hugging Face token"),
        ("print('my-own-secret')", {}, "run's own secrets"),
        ("<html>not found</html>", {}, "web page"),
        ("print(2)", {"sha256": "0" * 64}, "0000"),
        ("# /// script\n# dependancies = []\n# ///\n", {}, "did you mean"),
        ("# /// script\n# requires-python = '>=3.13'\n# ///\n", {"python": "3.12"}, "requires-python"),
        ("# /// script\n# [tool.hf-jobs]\n# image = 'evil/image'\n# ///\nf()", {}, "not among those"),
        ("print(1)\0", {}, "NUL"),
    ],
)
def test_what_cannot_run_fails_before_money_is_reserved(
    world: World, shelf: Shelf, text: str, recipe: dict[str, Any], says: str
) -> None:
    run_id = submit(world, shelf.put("/x.py", text), recipe, secrets={"KEY": "my-own-secret"})
    assert prepare.run_once(world.gate) == 1
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"]) == ("failed", "bad_argument")
    assert says in shown["failure"]["evidence"]
    assert says in shown["message"]
    assert shown["failure"]["remedy"]
    assert TOKEN not in str(shown)
    assert "my-own-secret" not in str(shown)
    assert world.entries(run_id) == []
    assert world.told(run_id) == ["run.queued", "run.failed"]


def test_an_address_that_does_not_answer_is_tried_again_then_given_up(world: World, shelf: Shelf) -> None:
    shelf.answers["/x.py"] = Answer(status=503)
    late, never = submit(world, shelf.url("/x.py"), seconds=5), submit(world, shelf.url("/y.py?503"))
    shelf.answers["/y.py?503"] = Answer(status=503)
    assert prepare.run_once(world.gate) == 0
    shown = world.show(late)
    assert (shown["state"], shown["reason"]) == ("queued", "checking")
    assert "HTTP 503" in shown["message"]
    asked = len(shelf.asked)
    assert prepare.run_once(world.gate) == 0
    assert len(shelf.asked) == asked  # not before its time
    shelf.put("/x.py", SOURCE)
    world.until_end(late, never, seconds=301)
    assert world.run(late).state == "succeeded"
    assert (world.run(never).state, world.run(never).reason) == ("failed", "infrastructure")
    assert [path for path, _ in shelf.asked].count("/y.py?503") == prepare.MOST_TRIES
    assert world.show(never)["failure"]["retryable"] is True


def test_a_cancelled_run_is_not_fetched(world: World, shelf: Shelf) -> None:
    run_id = submit(world, shelf.put("/x.py", SOURCE))
    world.cancel(run_id)
    assert prepare.run_once(world.gate) == 0
    assert shelf.asked == []
    world.until_end(run_id)
    assert world.run(run_id).state == "cancelled"


def test_secrets_that_cannot_be_read_let_it_wait(world: World, shelf: Shelf) -> None:
    run_id = submit(world, shelf.put("/x.py", SOURCE), secrets={"KEY": "my-own-secret"})

    def spoil(session: Any) -> None:
        run = runs.lock(session, run_id)
        assert run is not None
        run.sealed_secrets = b"sealed under another key"
        session.add(run)

    world.db.write(spoil)
    assert prepare.run_once(world.gate) == 0
    assert world.run(run_id).not_before == world.clock.now + timedelta(seconds=5)


def test_image_volumes_and_resource_group_reach_the_job(world: World) -> None:
    image = "ghcr.io/astral-sh/uv:python3.13-trixie"
    world.core.hub.publish("dataset", "acme/corpus", {"a.txt": b"a"}, world.clock.now)
    world.core.hub.buckets.add("acme/ckpt", world.clock.now)
    corpus = world.core.hub.repo("dataset", "acme/corpus")
    corpus.refs["refs/tags/v1"] = corpus.head
    run_id = world.enqueue(
        seconds=5,
        image=image,
        resource_group="0123456789abcdef01234567",
        volumes=[
            {"type": "dataset", "source": "acme/corpus", "mount_path": "/corpus", "revision": "v1"},
            {"type": "bucket", "source": "acme/ckpt", "mount_path": "/ckpt", "path": "runs/1"},
        ],
    )
    world.until_end(run_id)
    [job] = world.jobs_of(run_id)
    sent, commit = job.json(world.clock.now), corpus.head.sha
    assert sent["dockerImage"] == image
    assert sent["resourceGroupId"] == "0123456789abcdef01234567"
    assert sent["volumes"] == [
        {"type": "dataset", "source": "acme/corpus", "mountPath": "/corpus", "readOnly": True, "revision": commit},
        {"type": "bucket", "source": "acme/ckpt", "mountPath": "/ckpt", "readOnly": False, "path": "runs/1"},
    ]
    shown = world.show(run_id)
    assert (shown["image"], shown["resource_group"]) == (image, "0123456789abcdef01234567")
    assert [volume["read_only"] for volume in shown["volumes"]] == [True, False]


def test_without_them_the_job_is_as_it_was(world: World) -> None:
    run_id = world.enqueue(seconds=5)
    world.until_end(run_id)
    [job] = world.jobs_of(run_id)
    assert job.spec.docker_image == IMAGE
    assert job.spec.extras == {}


def test_the_operator_says_which_images_run_and_where_scripts_come_from(world: World) -> None:
    with pytest.raises(ImageNotAllowed) as told:
        world.enqueue(image="acme/own:1")
    assert told.value.field == "image"
    asks = "# /// script\n# [tool.hf-jobs]\n# image = 'acme/own:1'\n# ///\nf()"
    with pytest.raises(ImageNotAllowed) as told:
        world.enqueue(recipe={"kind": "script", "source": asks})
    assert told.value.field == "recipe.source"
    with pytest.raises(Invalid, match="not a public address"):
        submit(world, "http://127.0.0.1/x.py")
    world.limit(image_allowlist=("acme/*",))
    run_id = world.enqueue(recipe={"kind": "script", "source": asks}, seconds=5)
    assert world.show(run_id)["image"] == "acme/own:1"
    with pytest.raises(ImageNotAllowed):
        world.enqueue(image=IMAGE)
    world.until_end(run_id)
    assert world.jobs_of(run_id)[0].spec.docker_image == "acme/own:1"
