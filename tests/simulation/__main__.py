"""`python -m tests.simulation --seed N`: one seed again, with its trace; `--seeds M`: that many from it on."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.story import STEPS, tell


def main() -> int:
    """0 where every invariant held; else the first violation is shown."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--steps", type=int, default=STEPS, help="actions per seed")
    parser.add_argument("--replicas", type=int, default=1, choices=(1, 2), help="processes that run the steps")
    parser.add_argument("--all", action="store_true", help="go on after a violation, and list all seeds that have one")
    given = parser.parse_args()
    began = time.monotonic()
    broken: list[str] = []
    jobs = runs = 0
    for seed in range(given.seed, given.seed + given.seeds):
        outcome = tell(seed, given.steps, given.replicas)
        jobs, runs = jobs + outcome.jobs, runs + outcome.runs
        if outcome.violation is not None:
            broken.append(f"seed {seed}: {outcome.violation}")
        if given.seeds == 1 or (outcome.violation is not None and not given.all):
            print(outcome.text, f"\nseed {seed}, trace {outcome.digest[:16]}")  # noqa: T201
        if broken and not given.all:
            break
    seconds = time.monotonic() - began
    print(f"{given.seeds} seeds, {runs} runs, {jobs} jobs in {seconds:.1f} s", *broken, sep="\n")  # noqa: T201
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
