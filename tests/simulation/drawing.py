"""What is drawn from the seed: bodies of requests, faults, spans of time."""

from __future__ import annotations

from random import Random
from typing import Any

REPOS = ("acme/model-a", "acme/model-b")
LOGS = (
    "{'loss': 2.5, 'step': 1}\n{'loss': 1.5, 'step': 2}",
    "torch.OutOfMemoryError: CUDA out of memory.",
    "ModuleNotFoundError: No module named 'missing'",
    "",
)


def draw_body(chance: Random) -> dict[str, Any]:
    """A run: mostly short and cheap, sometimes long, dear, failing, or without an end before its timeout."""
    env = {
        "SANDBOX_RUN_SECONDS": str(chance.choice((0, 1, 30, 59, 60, 61, 200, 590, 3_000, 30_000))),
        "SANDBOX_EXIT_CODE": str(chance.choice((0, 0, 0, 0, 1, 137))),
    }
    if log := chance.choice(LOGS):
        env["SANDBOX_LOG"] = log
    body: dict[str, Any] = {
        "recipe": {"kind": "script", "source": "print(1)\n"},
        "flavor": chance.choices(("cpu-basic", "cpu-upgrade", "t4-small", "a10g-large"), (8, 4, 2, 1))[0],
        "env": env,
        "priority": chance.choice((50, 50, 50, 0, 100)),
    }
    bound = chance.random()
    if bound < 0.85:
        body["timeout"] = chance.choice((60, 61, 300, 600, 600, 3_600))
    if bound > 0.7:
        body["max_cost_usd"] = chance.randint(500, 60_000) / 1_000_000
    if chance.random() < 0.3:
        body["output_repo"] = chance.choice(REPOS)
    if chance.random() < 0.3:
        body["secrets"] = {"WANDB_API_KEY": f"sekrit-{chance.getrandbits(64):016x}"}
    return body


def draw_budget(chance: Random) -> int:
    """Micro-dollars: room for a few cheap runs, or for many."""
    return chance.choice((chance.randint(300, 4_000), chance.randint(2_000, 20_000), chance.randint(20_000, 2_000_000)))


def draw_limit(chance: Random) -> int | None:
    """A team's slots."""
    return chance.choice((None, None, 3, 2, 1, 1, 0))


def draw_faults(chance: Random, lag_seconds: int) -> dict[str, float | str]:
    """One to three of the sandbox's faults. Assumption A: a list is never later than its lag."""
    possible: dict[str, float | str] = {
        "create_500_before_accept": chance.choice((1, 2, 0.5)),
        "create_500_after_accept": chance.choice((1, 2, 0.3)),
        "create_lost_reply": chance.choice((1, 2, 0.3)),
        "reply_delay_seconds": chance.choice((1, 25)),
        "next_429": chance.choice((1, 3, 0.2)),
        "rate_limit": chance.choice((3, 20)),
        "scheduling_seconds": chance.choice((1, 30, 300, 5_000, 50_000)),
        "listing_lag_seconds": chance.choice((chance.randint(0, lag_seconds), lag_seconds)),
        "log_cut_after_lines": 1,
        "stage_unknown": "UPDATING",
    }
    names = chance.sample(sorted(possible), chance.randint(1, 3))
    if chance.random() < 0.5:
        names.append(chance.choice(("create_500_after_accept", "create_lost_reply")))
    return {name: possible[name] for name in names}


def draw_span_ms(chance: Random) -> int:
    """How long nothing happens: from milliseconds to hours, mostly seconds."""
    longest = chance.choices((50, 3_000, 20_000, 90_000, 600_000, 10_000_000), (3, 6, 8, 6, 3, 1))[0]
    return chance.randint(1, longest)
