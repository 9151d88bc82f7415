"""A run whose inputs gave a model before is answered with that model: before its pilot, and for nothing."""

from __future__ import annotations

import httpx2
import pytest

from service.flow import admit, card, preflight, submit
from tests import published
from tests.flow.conftest import World
from tests.flow.shelves import dataset, model

RECIPE = {
    "kind": "trl_sft",
    "model_name_or_path": "acme/tiny",
    "dataset_name": "acme/chats",
    "args": {"max_steps": 100},
}


def ask(world: World, **more: object) -> str:
    named = {"recipe": RECIPE, "flavor": "t4-small", "timeout": "30m", "output_repo": "acme/model", **more}
    return world.enqueue(**named)


def trained(world: World, **more: object) -> str:
    """A run that has made a model."""
    world.budget(10_000_000)
    model(world)
    dataset(world)
    run_id = ask(world, timeout="10m", **more)
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    world.publish("acme/model", **{**published.full(), "README__md": b"---\nlicense: mit\n---\n# A model\n"})
    world.until_end(run_id)
    assert world.show(run_id)["state"] == "succeeded"
    return run_id


@pytest.mark.parametrize("checked", [True, False])
def test_reuse_is_looked_at_before_a_pilot_is_started(world: World, checked: bool) -> None:
    first = trained(world)
    jobs = list(world.core.jobs.newest_first())
    run_id = ask(world, reuse="allow", pilot={"max_steps": 20}, checked=checked)
    pilot_id = world.show(run_id)["pilot"]["run_id"]
    for _ in range(5):
        world.pass_all()
    run, pilot = world.show(run_id), world.show(pilot_id)
    assert (run["state"], run["reused_from"]) == ("succeeded", first)
    assert (pilot["state"], pilot["reason"]) == ("cancelled", "parent_ended")
    assert pilot["message"] == f"{run_id}, whose pilot it is, has succeeded without it"
    assert world.entries(run_id) == world.entries(pilot_id) == []
    assert list(world.core.jobs.newest_first()) == jobs


def test_a_pilot_waits_while_nobody_knows_whether_its_run_is_answered(world: World) -> None:
    trained(world)
    is_down = [True]
    world.wire.cut_before = lambda request: (
        httpx2.ConnectError("down") if is_down[0] and "whoami" in request.url.path else None
    )
    world.clock.turn(minutes=11)
    run_id = ask(world, reuse="allow", pilot={"max_steps": 20})
    pilot_id = world.show(run_id)["pilot"]["run_id"]
    for _ in range(5):  # the pilot names nothing that the Hub does not tell
        world.pass_all()
        world.clock.turn(seconds=16)
    assert [world.show(one)["state"] for one in (run_id, pilot_id)] == ["queued", "queued"]
    assert world.run(pilot_id).checked_at is None
    is_down[0] = False
    world.pass_all()
    world.pass_all()
    assert [world.show(one)["state"] for one in (run_id, pilot_id)] == ["succeeded", "cancelled"]


def test_a_run_that_no_earlier_one_answers_has_its_pilot(world: World) -> None:
    trained(world)
    other = RECIPE | {"args": {"max_steps": 101}}
    run_id = ask(world, reuse="allow", pilot={"max_steps": 20}, recipe=other)
    preflight.run_once(world.gate)
    world.pass_all()
    assert world.show(world.show(run_id)["pilot"]["run_id"])["state"] in ("starting", "running")


def test_the_answer_names_the_run_and_the_model_and_so_does_the_lineage(world: World) -> None:
    first = trained(world)
    second = ask(world, reuse="allow", output_repo="acme/elsewhere", lineage_card=True)
    sha = world.show(first)["output"]["revision"]
    shown = world.show(second)
    told = f"answered with the model acme/model at {sha[:12]}, which {first} made of the same inputs"
    assert (shown["message"], shown["reused_from"]) == (f"{told}: nothing was trained", first)
    assert (shown["output"]["repo"], shown["output"]["revision"]) == ("acme/model", sha)
    assert shown["cost"]["reserved_usd"] == 0
    assert card.run_once(world.gate) == 1, world.show(second)["lineage_card"]
    readme = world.core.hub.repo("model", "acme/model").head.tree["README.md"].data.decode()
    assert f"| Run | `{first}`, attempt 1 |\n| Model | `acme/model` at `{sha}` |\n| Reused by | `{second}`" in readme
    assert world.show(second)["lineage_card"] == "written"
    third = ask(world, reuse="allow")
    assert world.show(third)["reused_from"] == first, "who made it, not who was answered with it"


def test_another_commit_of_the_chat_template_is_another_input(world: World) -> None:
    world.budget(10_000_000)
    model(world, "acme/template")
    asked = {**RECIPE, "chat_template_path": "acme/template"}
    model(world)
    dataset(world)
    before = world.show(ask(world, recipe=asked))
    world.publish("acme/template", README__md=b"another one")
    world.clock.turn(minutes=30)
    after = world.show(ask(world, recipe=asked))
    assert before["pins"].pop("chat_template") != after["pins"].pop("chat_template")
    assert before["pins"] == after["pins"]
    assert before["fingerprint"] != after["fingerprint"]


def test_what_a_bucket_holds_has_no_commit_so_nothing_is_reused(world: World) -> None:
    world.core.hub.buckets.add("acme/data", world.clock.now)
    mounted = {"volumes": [{"type": "bucket", "source": "acme/data", "mount_path": "/data"}]}
    trained(world, **mounted)
    assert world.show(ask(world, reuse="allow", **mounted))["state"] == "queued"
