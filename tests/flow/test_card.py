"""A lineage card in the model's README, whatever was in it, and no outcome that depends on it."""

from __future__ import annotations

import httpx2

from service.domain.card import BEGIN, lineage, with_lineage
from service.flow import admit, card, submit
from tests.flow.conftest import World


def trained(world: World) -> str:
    run_id = world.enqueue(output_repo="acme/model", lineage_card=True)
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    world.publish("acme/model", model__safetensors=b"w", README__md=b"---\nlicense: mit\n---\n# A model\n")
    world.until_end(run_id)
    assert world.show(run_id)["state"] == "succeeded"
    return run_id


def readme(world: World) -> str:
    text: str = world.core.hub.repo("model", "acme/model").head.tree["README.md"].data.decode()
    return text


def test_the_card_is_added_and_the_rest_of_the_readme_stays(world: World) -> None:
    run_id = trained(world)
    assert card.run_once(world.gate) == 1
    text = readme(world)
    assert text.startswith("---\nlicense: mit\n---\n# A model\n")
    assert f"`{run_id}`, attempt 1" in text
    assert "| Cost | $0.000" in text
    shown = world.show(run_id)
    assert shown["lineage_card"] == "written"
    assert shown["output"]["revision"] != world.core.hub.snapshot()["acme/model"]["sha"]
    assert card.run_once(world.gate) == 0


def test_a_hub_that_is_down_is_tried_again_and_then_let_be(world: World) -> None:
    run_id = trained(world)
    world.wire.cut_before = lambda _request: httpx2.ConnectError("down")
    for _ in range(10):
        assert card.run_once(world.gate) == 0
        world.clock.turn(minutes=10)
    shown = world.show(run_id)
    assert (shown["state"], shown["lineage_card"]) == ("succeeded", "not written: ConnectError: down")


def test_a_second_card_takes_the_place_of_the_first() -> None:
    first = with_lineage("# A model\n", f"{BEGIN}\none\n<!-- /tunegate -->\n")
    second = with_lineage(first + "\nMore.\n", f"{BEGIN}\ntwo\n<!-- /tunegate -->\n")
    assert second == f"# A model\n\n{BEGIN}\ntwo\n<!-- /tunegate -->\nMore.\n"
    assert with_lineage("", f"{BEGIN}\n") == f"{BEGIN}\n"


def test_names_are_told_with_the_commits_that_they_stood_for(world: World) -> None:
    shown = world.show(world.enqueue())
    mounted = {"source": "acme/files", "mount_path": "/in", "revision": "v1"}
    recipe = {"model_name_or_path": "acme/tiny", "model_revision": "main", "dataset_name": "acme/chats"}
    pins = {"model_revision": "abc", "dataset_revision": "def", "volume:/in": "123"}
    told = lineage({**shown, "recipe": recipe, "volumes": [mounted], "pins": pins})
    assert "| Base model | `acme/tiny` at `abc`, which was `main` |" in told
    assert "| Dataset | `acme/chats` at `def` |" in told
    assert "| Mounted at `/in` | `acme/files` at `123`, which was `v1` |" in told
