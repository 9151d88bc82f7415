"""Runs beside one another: none waits for another's answer, and none takes another along."""

from __future__ import annotations

import threading
from dataclasses import replace

from service.flow import admit, cancel, preflight, submit, watch
from service.flow.each import beside
from tests.flow.conftest import World, is_create


def test_works_wait_together_and_their_answers_keep_their_order() -> None:
    meeting = threading.Barrier(3, timeout=10)  # broken unless three are under way at once

    def work(number: int) -> int:
        meeting.wait()
        return number

    works = [(str(number), lambda number=number: work(number)) for number in range(6)]
    assert beside("test", 3, works) == list(range(6))


def test_one_that_fails_takes_no_other_along() -> None:
    def fail() -> int:
        raise KeyError("a surprise")

    for width in (1, 4):
        assert beside("test", width, [("one", lambda: 1), ("two", fail), ("three", lambda: 3)]) == [1, None, 3]


def test_runs_that_go_their_way_beside_one_another_each_get_one_job(world: World) -> None:
    """The calls of several are under way at once; each is claimed, made, settled and paid once."""
    world.gate = replace(world.gate, width=4)
    run_ids = [world.enqueue(seconds=5, checked=False) for _ in range(8)]
    under_way: list[str] = []
    meeting = threading.Barrier(4, timeout=10)

    def together(request: object) -> Exception | None:
        if is_create(request):  # type: ignore[arg-type]
            under_way.append("create")
            meeting.wait()
        return None

    world.wire.cut_before = together
    preflight.run_once(world.gate)
    while admit.run_once(world.gate):
        pass
    assert submit.run_once(world.gate) == len(under_way) == 8
    world.clock.turn(seconds=10)
    watch.run_once(world.gate)
    assert {world.run(run_id).state for run_id in run_ids} == {"succeeded"}
    assert all(len(world.jobs_of(run_id)) == 1 for run_id in run_ids)


def test_runs_that_name_the_same_have_it_asked_for_once(world: World) -> None:
    world.gate = replace(world.gate, width=4)
    recipe = {
        "kind": "trl_sft",
        "model_name_or_path": "sandbox/tiny-llama",
        "dataset_name": "sandbox/tiny-chat",
        "args": {"max_steps": 5},
    }
    for _ in range(4):
        world.enqueue(recipe=recipe, output_repo="acme/model", force=True, checked=False)
    world.wire.seen.clear()
    preflight.run_once(world.gate)
    asked = [path for _, path in world.wire.seen if "/revision/" in path]
    assert len(asked) == len(set(asked)) > 0


def test_cancels_are_asked_for_beside_one_another(world: World) -> None:
    world.gate = replace(world.gate, width=4)
    run_ids = [world.enqueue(seconds=500) for _ in range(4)]
    world.pass_all()
    for run_id in run_ids:
        world.cancel(run_id)
    cancel.run_once(world.gate)
    assert world.wire.count("POST", "/cancel") == 4
