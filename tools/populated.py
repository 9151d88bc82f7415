"""A service with a month behind it, for pictures: teams, money that was spent and wasted, runs of every kind.

The steps, the database and the local Hugging Face are real; its jobs end by the clock, which is turned. What is drawn
by lot is seeded.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from service.api.state import State
from service.app import create_app
from service.flow import compare, guard, notify, prices
from service.migrate import migrate
from service.store.db import Database
from tests import published
from tests.api.conftest import ADMIN_KEY, Api
from tests.conftest import Clock
from tests.flow.conftest import World

DAYS = 24
OOM = (
    "  0%|          | 0/1000 [00:00<?, ?it/s]\nTraceback (most recent call last):\n"
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB. GPU 0 has a total capacity of 22.06 GiB"
)
BUG = "Traceback (most recent call last):\n  File \"train.py\", line 31\nNameError: name 'los' is not defined"
MODEL, SMALL = "HuggingFaceTB/SmolLM3-3B-Base", "Qwen/Qwen3-0.6B"
CHATS = "HuggingFaceTB/smoltalk2_everyday_convs_think"
USERS = ("ada@acme.com", "grace@acme.com", "ci@acme.com")


def log_of(steps: int, shown: int, *, start: float = 2.4, end: float = 1.1, seed: int = 1) -> str:
    """What TRL prints of a training of so many steps, up to the step that is shown."""
    lot = random.Random(seed)
    lines = []
    for step in range(max(1, steps // 100), shown + 1, max(1, steps // 100)):
        loss = end + (start - end) * 2.718 ** (-4 * step / steps) + lot.uniform(-0.03, 0.03)
        rate = 5e-5 * (1 - step / steps)
        lines.append(
            f"{{'loss': '{loss:.3f}', 'grad_norm': '{lot.uniform(0.6, 1.1):.2f}', 'learning_rate': '{rate:.3g}', "
            f"'epoch': '{step / steps:.2f}'}}\r{100 * step // steps:3}%|####      | {step}/{steps} "
            f"[{step * 1.9 // 60:02.0f}:{step * 1.9 % 60:02.0f}<{(steps - step) * 1.9 // 60:02.0f}:00,  1.90s/it]"
        )
    return "\n".join(lines)


class Populated:
    """The world, its API by callers, and what was made in it by name."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.clock = clock
        self.world = World(db, clock)
        self.world.limit(max_concurrent_runs=5)
        state = State(
            gate=self.world.gate,
            admin_key=ADMIN_KEY,
            namespace="acme",
            ages=dict,
            is_leading=lambda: True,
        )
        self.app = create_app(state, on_stop=lambda: None)
        self.api = Api(self.app, self.world)
        self.lot = random.Random(7)
        self.runs: dict[str, str] = {}
        self.sweep = ""

    def do(self, method: str, path: str, body: Any = None, as_: str = "admin") -> Any:
        """A call of the API that must be right."""
        answer = self.api(method, path, as_=as_, **({} if body is None else {"json": body}))
        assert answer.status_code < 400, answer.text
        return answer.json() if answer.content else None

    def submit(self, name: str, recipe: dict[str, Any], flavor: str, as_: str, **fields: Any) -> str:
        """A run that is called so; `seconds`, `log`, `exit_code` say how its job goes."""
        jobs = {"seconds": "SANDBOX_RUN_SECONDS", "log": "SANDBOX_LOG", "exit_code": "SANDBOX_EXIT_CODE"}
        env = {spelt: str(fields.pop(given)) for given, spelt in jobs.items() if given in fields}
        env["SANDBOX_GPU_GIB"] = "15.6"
        body = {
            "recipe": recipe,
            "flavor": flavor,
            "timeout": "2h",
            "output_repo": f"acme/{name}",
            "env": env,
            **fields,
        }
        self.runs[name] = self.do("POST", "/runs", {**body, **fields}, as_)["id"]
        return self.runs[name]

    def settle(self, *names: str, **turn: float) -> None:
        """Until these runs have ended."""
        self.world.until_end(*(self.runs[name] for name in names), most=600, **(turn or {"seconds": 20}))
        notify.run_once(self.world.gate)

    def publish(self, name: str) -> None:
        """What the run's job pushes."""
        files = published.adapter()
        files["adapter_model.safetensors"] = name.encode()
        self.world.publish(f"acme/{name}", **{path.replace(".", "__"): content for path, content in files.items()})


def sft(model: str = MODEL, **more: Any) -> dict[str, Any]:
    """A recipe of a LoRA training."""
    args = {"max_steps": more.pop("steps", 1000), "per_device_train_batch_size": 4, "learning_rate": 5e-5}
    given: dict[str, Any] = {"kind": "trl_sft", "model_name_or_path": model, "dataset_name": CHATS, "args": args}
    return {**given, "lora": {"r": 16}, **more}


def people(made: Populated) -> None:
    """Teams, money, keys."""
    for team, limit in (("platform", 300), ("research", 40)):
        if team != "research":
            made.do("POST", "/teams", {"name": team})
        made.do("PUT", f"/teams/{team}/budget", {"period": "month", "limit_usd": limit, "thresholds": [50, 80, 100]})
    made.do("PUT", "/organisation/budget", {"period": "month", "limit_usd": 500})
    made.do("PUT", "/teams/research/approval-rules", {"flavors": ["h200"]})
    for name, role in (("lead", "lead"), *((user, "member") for user in USERS)):
        made.api.add_key(name, "research", role)
    made.api.add_key("platform", "platform", "lead")


def past(made: Populated) -> None:
    """Trainings of the last weeks: most succeed, some waste money."""
    for day in range(DAYS):
        prices.run_once(made.world.gate)
        for number in range(made.lot.choice((0, 1, 1, 2))):
            name, who = f"bot-{day:02}-{number}", made.lot.choice(USERS)
            minutes, kind = made.lot.randint(15, 55), made.lot.random()
            how: dict[str, Any] = {"seconds": minutes * 60, "log": log_of(1000, 1000, seed=day)}
            if kind < 0.12:
                how = {"seconds": 90, "log": OOM, "exit_code": 1}
            elif kind < 0.2:
                how = {"seconds": minutes * 60, "log": BUG, "exit_code": 1}
            made.submit(name, sft(), made.lot.choice(("a10g-large", "l4x1", "l40sx1")), who, **how)
            finish(made, name, publishes=kind >= 0.2)
        made.clock.turn(hours=made.lot.randint(18, 22))


def finish(made: Populated, name: str, *, publishes: bool) -> None:
    """Let a run end; what it trained is there before its job is."""
    for _ in range(40):
        made.world.pass_all()
        run = made.world.run(made.runs[name])
        if run.finished_at is not None:
            break
        if publishes and run.state == "running" and run.started_at is not None:
            made.clock.turn(minutes=10)
            made.publish(name)
            publishes = False
        made.clock.turn(minutes=3)
    notify.run_once(made.world.gate)


def by_itself(made: Populated) -> None:
    """A sweep that has ended, a schedule and a trigger. What points evaluate to is spelt by their arguments."""
    prices.run_once(made.world.gate)
    evals = "\n".join(f"{{'eval_loss': {whole}.{{{{lora.r}}}}{{{{warmup_steps}}}}, 'step': {step}}}"
                      for step, whole in ((100, 2), (200, 1), (300, 1)))  # fmt: skip
    run = {
        "recipe": sft(steps=300, eval={"steps": 100}),
        "flavor": "l4x1",
        "timeout": "1h",
        "output_repo": "acme/ranks-{{point}}",
        "env": {"SANDBOX_RUN_SECONDS": "1200", "SANDBOX_LOG": evals, "SANDBOX_GPU_GIB": "15.6"},
    }
    grid = {"lora.r": [8, 16, 32], "warmup_steps": [10, 50, 90]}
    body = {"name": "rank and warm-up", "run": run, "grid": grid, "max_cost_usd": 4, "early_stopping": {"factor": 3}}
    made.sweep = made.do("POST", "/sweeps", {**body, "max_parallel": 3}, "ada@acme.com")["id"]
    pushed: set[str] = set()
    while not (sweep := made.do("GET", f"/sweeps/{made.sweep}"))["is_terminal"]:
        for point in sweep["points"]:
            if point["state"] == "running" and point["output_repo"] not in pushed:
                pushed.add(point["output_repo"])
                made.publish(point["output_repo"].partition("/")[2])
        made.clock.turn(minutes=1)
        made.world.pass_all()
        compare.run_once(made.world.gate)
    template = {"recipe": sft(SMALL), "flavor": "l4x1", "timeout": "1h", "output_repo": "acme/nightly-{{date}}"}
    when = {"cron": "30 2 * * 1-5", "time_zone": "Europe/Berlin"}
    made.do("POST", "/schedules", {"name": "nightly", "run": template, **when}, "ci@acme.com")
    watched = {"name": "new support chats", "repo_type": "dataset", "repo": "acme/support-chats"}
    body = {**watched, "run": {**template, "output_repo": "acme/support-{{timestamp}}"}}
    made.do("POST", "/triggers", body, "grace@acme.com")


def present(made: Populated) -> None:
    """What is seen now: trainings on their way, runs that wait for this and that, one that was repaired."""
    prices.run_once(made.world.gate)
    made.submit("smollm3-sft", sft(), "a10g-large", "ci@acme.com", seconds=100, log=OOM, exit_code=1)
    for _ in range(12):
        made.world.pass_all()
        made.clock.turn(seconds=20)
    support, agent = log_of(2400, 2400, seed=3), log_of(1000, 1000, seed=5)
    made.submit("support-bot-lora", sft(SMALL, steps=2400), "l4x1", "ci@acme.com", seconds=1800, log=support)
    made.submit("sql-agent-v4", sft(), "a100-large", "grace@acme.com", seconds=1500, log=agent)
    for _ in range(16):
        made.world.pass_all()
        made.clock.turn(minutes=1)
    guard.run_once(made.world.gate)
    made.submit("legal-qlora", sft(quantization={"bits": 4}), "h200", "ada@acme.com", timeout="1h")
    made.submit("math-full", {**sft(), "lora": None}, "a100x4", "grace@acme.com", timeout="2h")
    made.submit("sql-agent-v5", sft(), "l40sx1", "grace@acme.com", timeout="1h", priority=60)
    made.submit("nightly-eval", sft(SMALL), "l4x1", "ci@acme.com", after=[made.runs["sql-agent-v4"]])
    made.submit("support-bot-next", sft(), "a10g-large", "ci@acme.com", output_repo="acme/support-bot-lora")
    for _ in range(4):
        made.world.pass_all()
        made.clock.turn(seconds=10)
    made.do("PUT", "/teams/research/limits", {"max_concurrent_runs": 3})
    made.submit("sql-agent-v6", sft(), "l40sx1", "grace@acme.com", timeout="1h")
    for _ in range(4):
        made.world.pass_all()
        made.clock.turn(seconds=10)
    notify.run_once(made.world.gate)


@contextmanager
def populated(folder: Path) -> Iterator[Populated]:
    """All of it, on a database in this folder; the clock stands at the present moment's minute."""
    url = f"sqlite:///{folder / 'tunegate.db'}"
    migrate(url)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    db, clock = Database(url), Clock(now - timedelta(days=DAYS))
    made = Populated(db, clock)
    try:
        people(made)
        past(made)
        by_itself(made)
        clock.now = now - timedelta(minutes=25)
        present(made)
        yield made
    finally:
        made.world.hub.close()
        db.close()
