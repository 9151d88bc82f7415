"""Everything is handed to a few worker processes at once; each test waits for its own part."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import pytest

from tests.simulation.blocks import break_rule, run_block
from tests.simulation.broken_rules import RULES

SEEDS_PER_BLOCK = 10
FIRST_SEED = int(os.environ.get("SIMULATION_FIRST_SEED", "1"))
BLOCKS = {
    f"{replicas} x {first}": (first, SEEDS_PER_BLOCK, replicas)
    for replicas, blocks in ((1, 16), (2, 4))
    for first in range(FIRST_SEED, FIRST_SEED + blocks * SEEDS_PER_BLOCK, SEEDS_PER_BLOCK)
}


@pytest.fixture(scope="session")
def parts() -> Iterator[dict[str, Future[Any]]]:
    """What became of each block and each broken rule, by name."""
    context = multiprocessing.get_context("spawn")
    workers = min(4, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, context) as pool:
        rules = {rule.rule.__name__: pool.submit(break_rule, rule.rule.__name__) for rule in RULES}
        yield {**rules, **{name: pool.submit(run_block, *block) for name, block in BLOCKS.items()}}
        pool.shutdown(cancel_futures=True)
