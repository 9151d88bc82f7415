"""A world in one process: the real steps, a real database, the real sandbox behind httpx2, and a clock to turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import delete
from sqlmodel import col, select

from service.domain.request import RunRequest
from service.flow import (
    admit,
    archive,
    cancel,
    hold,
    logs,
    measure,
    preflight,
    prepare,
    prices,
    recover,
    submit,
    sweep,
    watch,
)
from service.flow.enqueue import Submitter, enqueue
from service.flow.gate import Gate, Limits, Start
from service.hub.client import HubClient
from service.sandbox import library
from service.sandbox.core import Sandbox
from service.sandbox.transport import SandboxTransport
from service.sandbox.wire import Response
from service.store import cancels, events, ledger, run_list, runs, teams, windows
from service.store.db import Database
from service.store.describe import describe_run
from service.store.run_money import money_of
from service.store.tables import Attempt, Budget, BudgetWindow, HubFact, Run
from service.store.vault import Vault
from tests.conftest import Clock, Templates
from tests.factories import make_budget, make_team

ENDPOINT = "http://hub.test"
SCRIPT = {"kind": "script", "source": "print(1)\n"}


class Wire(SandboxTransport):
    """Counts requests, and can be cut: `cut_before` and `cut_after` say which requests never arrive or never answer."""

    def __init__(self, core: Sandbox, clock: Callable[[], datetime]) -> None:
        super().__init__(core, clock)
        self.seen: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        self.tokens: list[str] = []
        self.cut_before: Callable[[httpx2.Request], Exception | None] = lambda _request: None
        self.cut_after: Callable[[httpx2.Request], Exception | None] = lambda _request: None

    def before(self, request: httpx2.Request) -> None:
        self.seen.append((request.method, request.url.path))
        self.bodies.append(request.read())
        self.tokens.append(request.headers.get("authorization", ""))
        if (error := self.cut_before(request)) is not None:
            raise error

    def after(self, request: httpx2.Request, _response: Response) -> None:
        if (error := self.cut_after(request)) is not None:
            raise error

    def count(self, method: str, ending: str) -> int:
        return sum(seen[0] == method and seen[1].endswith(ending) for seen in self.seen)


def is_create(request: httpx2.Request) -> bool:
    return request.method == "POST" and request.url.path == "/api/jobs/acme"


class World:
    """One installation, and everything that a scenario says about it."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.clock = clock
        self.core = Sandbox(execute=False)
        library.fill(self.core.hub, clock.now)
        self.wire = Wire(self.core, clock)
        self.hub = HubClient(ENDPOINT, "hf_sandbox", "hf_sandbox_job", clock=clock, transport=self.wire)
        limits = Limits(create_timeout=timedelta(seconds=30), webhook_allowed_targets=("127.0.0.1",))
        self.gate = Gate(
            db,
            self.hub,
            Vault("a secret key"),
            limits,
            "ins_test",
            "boot-1",
            clock,
            lambda: clock.now.timestamp(),
            namespace="acme",
            start=Start(unswept=set()),
        )
        self.db = db
        if not self._has_team():
            db.write(lambda session: make_team(session, clock.now, budget_micro_usd=100_000))
            prices.run_once(self.gate)

    def _has_team(self) -> bool:
        with self.db.read() as session:
            return teams.get(session, "research") is not None

    def limit(self, **changes: Any) -> None:
        """Change the installation's limits."""
        self.gate = replace(self.gate, limits=replace(self.gate.limits, **changes))

    def restart(self) -> None:
        """The process dies here; another one starts on the same database."""
        self.gate = replace(self.gate, boot=f"{self.gate.boot}+", start=Start())
        sweep.run_once(self.gate)

    def budget(self, micro_usd: int) -> None:
        self.db.write(lambda session: make_budget(session, self.clock.now, micro_usd))

    def enqueue(self, **fields: Any) -> str:
        """A run of ten minutes on cpu-basic, past preflight unless `checked` is False; `seconds`, `exit_code`, `log`
        say how its job will go."""
        namespace, checked = fields.pop("namespace", "acme"), fields.pop("checked", True)
        team = fields.pop("team", "research")
        env = {
            name: str(fields.pop(field))
            for field, name in (
                ("seconds", "SANDBOX_RUN_SECONDS"),
                ("exit_code", "SANDBOX_EXIT_CODE"),
                ("log", "SANDBOX_LOG"),
                ("gpu_gib", "SANDBOX_GPU_GIB"),
            )
            if field in fields
        }
        body = {"recipe": SCRIPT, "flavor": "cpu-basic", "timeout": "10m", "env": env, **fields}
        work = partial(
            enqueue,
            request=RunRequest.model_validate(body),
            submitter=Submitter(team, "key_test"),
            namespace=namespace,
            vault=self.gate.vault,
            now=self.clock.turn(milliseconds=1),
            limits=self.gate.limits,
        )
        run, _ = self.db.write(work)
        run_id: str = run["id"]
        if checked:
            preflight.run_once(self.gate)
        return run_id

    def forget_facts(self) -> None:
        """Nothing is known of what the Hub said, as on the day after a new database."""
        self.db.write(lambda session: session.execute(delete(HubFact)) and None)

    def cancel(self, run_id: str) -> None:
        def work(session: Any) -> None:
            run = runs.get(session, run_id)
            assert run is not None
            cancels.request(session, col(Run.id) == run_id, "key_test", self.clock.now)

        self.db.write(work)

    def pass_all(self) -> None:
        """One pass of every step, in the order of a run's life."""
        for step in (recover, archive, cancel, hold, prepare, preflight, admit, submit, watch, logs, measure):
            step.run_once(self.gate)

    def until_end(self, *run_ids: str, most: int = 60, **turn: float) -> None:
        """Turn the clock and let the steps run until these runs have ended."""
        for _ in range(most):
            self.pass_all()
            if all(self.run(run_id).finished_at is not None for run_id in run_ids):
                return
            self.clock.turn(**(turn or {"seconds": 15}))
        raise AssertionError([self.show(run_id) for run_id in run_ids])

    def run(self, run_id: str) -> Run:
        with self.db.read() as session:
            run = runs.get(session, run_id)
        assert run is not None
        return run

    def attempt(self, run_id: str) -> Attempt:
        with self.db.read() as session:
            run = runs.get(session, run_id)
            assert run is not None
            attempt = runs.current_attempt(session, run)
        assert attempt is not None
        return attempt

    def show(self, run_id: str) -> dict[str, Any]:
        """The run object."""
        with self.db.read() as session:
            run = runs.get(session, run_id)
            assert run is not None
            return describe_run(session, run, self.clock.now)

    def told(self, run_id: str) -> list[str]:
        """The types of a run's events; their sequence has no gap."""
        with self.db.read() as session:
            found = events.of(session, run_id, 0, 1000)
        assert [event.sequence for event in found] == list(range(1, len(found) + 1))
        return [event.type for event in found]

    def entries(self, run_id: str) -> list[tuple[str, int]]:
        with self.db.read() as session:
            return [(entry.kind, entry.amount_micro_usd) for entry in ledger.of_run(session, run_id)]

    def window(self) -> BudgetWindow:
        with self.db.read() as session:
            mine = select(Budget).where(Budget.subject == "research", Budget.period == "month")
            budget = session.exec(mine).one()
            return windows.find_or_new(session, budget, self.clock.now)

    def check_money(self) -> None:
        """Sums of entries are the window's sums; a run that ended holds nothing."""
        with self.db.read() as session:
            reserved = charged = 0
            for run in run_list.page(session, run_list.RunFilter(team="research"), None, 1000):
                money = money_of(ledger.of_run(session, run.id))
                assert run.finished_at is None or money.reserved == 0, run.id
                reserved += money.reserved
                charged += (money.charged or 0) + money.stray
        window = self.window()
        assert (window.reserved_micro_usd, window.charged_micro_usd) == (reserved, charged)

    def jobs_of(self, run_id: str) -> list[Any]:
        """The sandbox's jobs of a run."""
        return [job for job in self.core.jobs.newest_first() if job.labels.get("tunegate-run") == run_id]

    def force(self, run_id: str, **ending: Any) -> None:
        """End a run's job as only Hugging Face could."""
        url = f"{ENDPOINT}/sandbox/jobs/{self.attempt(run_id).hub_job_id}"
        httpx2.Client(transport=SandboxTransport(self.core, self.clock)).post(url, json=ending).raise_for_status()

    def faults(self, **faults: Any) -> None:
        """Switch the sandbox's faults."""
        client = httpx2.Client(transport=SandboxTransport(self.core, self.clock))
        client.post(f"{ENDPOINT}/sandbox/faults", json=faults).raise_for_status()

    def publish(self, repo: str, *, by: str = "sandbox", title: str = "End of training", **files: bytes) -> str:
        """A commit to a model repository, as a job makes it with its token; `by` another account."""
        named = {name.replace("__", "."): content for name, content in files.items()}
        sha: str = self.core.hub.publish("model", repo, named, self.clock.now, title, by)
        return sha


def settle_in(db: Database) -> None:
    """Write what a world begins with."""
    World(db, Clock()).hub.close()


@pytest.fixture(scope="session")
def settled(templates: Templates) -> str:
    """The template that every world begins with."""
    templates.make("settled", settle_in)
    return "settled"


@pytest.fixture
def database_url(templates: Templates, settled: str, tmp_path: Path) -> str:
    """A database of the test's own, with a team that has money, and prices."""
    return templates.copy(settled, tmp_path / "data")


@pytest.fixture
def world(db: Database, clock: Clock) -> Iterator[World]:
    world = World(db, clock)
    yield world
    world.check_money()
    world.hub.close()
