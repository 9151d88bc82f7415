"""What is drawn from the seed: bodies of requests, terms, rules, faults, spans of time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from service.domain.budget import Period
from service.store.budgets import Owner, Terms

USERS = ("key_ann", "key_bob")
FLAVORS = ("cpu-basic", "cpu-upgrade", "t4-small", "a10g-large")
REPOS = ("acme/model-a", "acme/model-b")
TRIES = "SIMULATION_TRIES"
ZONES = ("UTC", "Europe/Berlin", "America/New_York")
LOGS = (
    "{'loss': 2.5, 'step': 1}\n{'loss': 1.5, 'step': 2}",
    "torch.OutOfMemoryError: CUDA out of memory.",
    "ModuleNotFoundError: No module named 'missing'",
    "",
)


def draw_flavor(chance: Random) -> str:
    """Mostly the cheapest."""
    return chance.choices(FLAVORS, (8, 4, 2, 1))[0]


def draw_body(chance: Random, others: Sequence[str], now: datetime) -> dict[str, Any]:
    """A run: mostly short and cheap, sometimes long, dear, failing, or without an end before its timeout. `others`:
    runs that it might come after."""
    env = {
        "SANDBOX_RUN_SECONDS": str(chance.choice((0, 1, 30, 59, 60, 61, 200, 590, 3_000, 30_000))),
        "SANDBOX_EXIT_CODE": str(chance.choice((0, 0, 0, 0, 1, 137))),
    }
    if log := chance.choice(LOGS):
        env["SANDBOX_LOG"] = log
    body: dict[str, Any] = {
        "recipe": {"kind": "script", "source": "print(1)\n"},
        "flavor": draw_flavor(chance),
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
        if chance.random() < 0.4:
            body["then"] = [draw_follow_up(chance) for _ in range(chance.randint(1, 2))]
    if chance.random() < 0.4:
        body["secrets"] = {"WANDB_API_KEY": f"sekrit-{chance.getrandbits(64):016x}"}
    if chance.random() < 0.4:
        body["retry"] = {"max_attempts": chance.randint(1, 4)}
        env[TRIES] = str(body["retry"]["max_attempts"])  # the truth about jobs knows no runs
    if chance.random() < 0.2:
        body["checkpoints"] = "on"
    if others and chance.random() < 0.15:
        body["after"] = chance.sample(list(others), min(len(others), chance.randint(1, 2)))
    if chance.random() < 0.1:
        body["start_before"] = (now + timedelta(seconds=chance.choice((-5, 30, 600, 20_000)))).isoformat()
    return body


def draw_template(chance: Random, now: datetime) -> dict[str, Any]:
    """A run that is made more than once: without what is of one run, and without secrets, which a template has not."""
    of_one = ("after", "start_before", "secrets")
    return {name: value for name, value in draw_body(chance, (), now).items() if name not in of_one}


def draw_schedule(chance: Random, now: datetime) -> dict[str, Any]:
    """One that is due now and then while the story lasts."""
    asked: dict[str, Any] = {
        "run": draw_template(chance, now),
        "every": chance.choice((120, 600, 3_600)),
        "overlap": chance.choice(("skip", "queue", "cancel_previous")),
        "misfire": chance.choice(("skip", "run_once")),
    }
    if chance.random() < 0.5:
        period = chance.choice(("day", "month", "total"))
        asked["budget"] = {"limit_usd": chance.randint(2_000, 20_000) / 1_000_000, "period": period}
    return asked


def draw_sweep(chance: Random, now: datetime) -> dict[str, Any]:
    """Two to four points, whose jobs say losses; the cap is enough for one of them, for some, or for all."""
    run = draw_template(chance, now)
    run["env"] |= {"SANDBOX_LOG": "\n".join(f"{{'eval_loss': {{{{loss}}}}, 'step': {step}}}" for step in (1, 2, 3))}
    run.pop("output_repo", None)
    run.pop("then", None)
    losses = chance.sample(range(1, 9), chance.randint(2, 4))
    asked: dict[str, Any] = {
        "run": run,
        "points": [{"loss": loss} for loss in losses],
        "max_cost_usd": chance.choice((2_000, 6_000, 100_000)) / 1_000_000,
    }
    if chance.random() < 0.5:
        asked["max_parallel"] = chance.randint(1, 3)
    if chance.random() < 0.7:
        asked["early_stopping"] = {"factor": chance.choice((2, 3))}
    return asked


def draw_follow_up(chance: Random) -> dict[str, Any]:
    """What goes on from a run's model; a merge is refused of a script that has not published one yet."""
    kind = chance.choice(("smoke_test", "smoke_test", "evaluate", "merge_lora"))
    asked: dict[str, Any] = {"kind": kind, "timeout": chance.choice((60, 600))}
    if kind == "evaluate":
        asked["dataset_name"] = "acme/chats"
    if chance.random() < 0.5:
        asked["flavor"] = draw_flavor(chance)
    return asked


def draw_owner(chance: Random, teams: Sequence[str]) -> Owner:
    """Whose budget: a team's most of all."""
    team = chance.choice(teams)
    return chance.choices((Owner(team), Owner(team, chance.choice(USERS)), Owner()), (6, 2, 2))[0]


def draw_period(chance: Random) -> Period:
    """How often it begins anew."""
    return chance.choices(tuple(Period), (4, 1, 4, 1))[0]


def draw_terms(chance: Random) -> Terms:
    """Room for hardly one cheap run, for one or two, or for many."""
    ranges = ((300, 2_000), (2_000, 6_000), (20_000, 2_000_000))
    limit = chance.randint(*chance.choices(ranges, (1, 4, 3))[0])
    return Terms(limit, hard=chance.random() < 0.9, carry_over=chance.random() < 0.3)


def draw_limit(chance: Random) -> int | None:
    """Slots."""
    return chance.choice((None, None, 3, 2, 1, 1, 0))


def draw_organisation(chance: Random) -> dict[str, Any]:
    """What holds for all teams."""
    return {
        "time_zone": chance.choice(ZONES),
        "max_concurrent_runs": draw_limit(chance),
        "max_concurrent_runs_by_flavor": {draw_flavor(chance): chance.randint(0, 2)} if chance.random() < 0.5 else {},
        "max_concurrent_runs_by_namespace": {"acme": chance.randint(1, 4)} if chance.random() < 0.3 else {},
        "counts_outside": chance.random() < 0.5,
    }


def draw_rules(chance: Random) -> dict[str, Any]:
    """What needs approval in a team."""
    return {
        "cost_over_usd": chance.choice((None, 0.002, 0.02)),
        "flavors": chance.choice(([], ["t4-small"])),
        "first_run_of_user": chance.random() < 0.3,
        "expires_after": chance.choice((60, 3_600, 86_400)),
    }


def draw_change(chance: Random) -> dict[str, Any]:
    """What is changed of a queued run."""
    changes = {"flavor": draw_flavor(chance), "priority": chance.randint(0, 100), "timeout": chance.choice((60, 900))}
    return {name: changes[name] for name in chance.sample(sorted(changes), chance.randint(1, 2))}


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
    """How long nothing happens: from milliseconds to a day, mostly seconds."""
    longest = chance.choices((50, 3_000, 20_000, 90_000, 600_000, 10_000_000, 90_000_000), (3, 6, 8, 6, 3, 1, 0.5))[0]
    return chance.randint(1, longest)
