"""Who submits: new runs, the same request again, a cancel; and what they were answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlmodel import Session, col

from service.domain.errors import IdempotencyConflict, ServiceError
from service.domain.request import RunRequest
from service.flow.enqueue import Submitter, enqueue
from service.store import cancels
from service.store.tables import Run
from tests.simulation.process import NAMESPACE
from tests.simulation.trace import demand
from tests.simulation.world import World


@dataclass
class Promise:
    """An Idempotency-Key, the body it was first sent with, and the run that was answered, once one was."""

    team: str
    user: str
    key: str
    body: dict[str, Any]
    run_id: str | None = None


@dataclass
class People:
    """Everyone outside, with a memory of every answer."""

    world: World
    answered: set[str] = field(default_factory=set)
    promises: list[Promise] = field(default_factory=list)

    def submit(self, team: str, user: str, body: dict[str, Any], promise: Promise | None = None) -> None:
        """POST /runs. What is answered must be so for ever."""
        world = self.world
        gate = world.gate

        def act() -> None:
            key = None if promise is None else promise.key
            known = None if promise is None else promise.run_id
            submitter = Submitter(team, user, key, gate.vault.body_hmac(body))
            request = RunRequest.model_validate(body)
            work = partial(
                enqueue,
                request=request,
                submitter=submitter,
                namespace=NAMESPACE,
                vault=gate.vault,
                now=gate.clock(),
                limits=gate.limits,
            )
            try:
                run, is_replay = gate.db.write(work)
            except IdempotencyConflict:
                self._conflicted(promise, body)
            except ServiceError as error:
                world.note(f"refused: {error.code}")
                demand(promise is None or promise.run_id is None, 2, f"{key} made a run before and is refused now")
            else:
                demand(
                    is_replay or known is None,
                    2,
                    f"{key} made {known} before, and is answered as if for the first time",
                )
                self._answered(run["id"], is_replay, promise, body)

        world.note(f"submit for {team}/{user}: {_shown(body)} {'' if promise is None else promise.key}")
        world.request(act)

    def cancel(self, run_id: str) -> None:
        """POST /runs/{id}/cancel."""
        world = self.world

        def work(session: Session) -> None:
            cancels.request(session, col(Run.id) == run_id, "key_people", world.clock.wall())

        world.note(f"cancel {run_id[-6:]}")
        world.request(lambda: world.gate.db.write(work))

    def forget(self) -> None:
        """A backup was put back: what was answered after it was made is lost, as its owner knows."""
        known = self.world.witness.runs
        self.answered &= known.keys()
        for promise in self.promises:
            if promise.run_id not in known:
                promise.run_id = None

    def check_answers(self) -> None:
        """Every run that was answered is there."""
        missing = self.answered - self.world.witness.runs.keys()
        demand(not missing, 1, f"answered, and gone: {sorted(missing)}")

    def _answered(self, run_id: str, is_replay: bool, promise: Promise | None, body: dict[str, Any]) -> None:
        self.world.note(f"answered {run_id}{', again' if is_replay else ''}")
        self.answered.add(run_id)
        if promise is None:
            demand(not is_replay, 2, f"{run_id} is a repeat without a key")
            return
        if promise.run_id is None:
            promise.run_id, promise.body = run_id, body
            return
        demand(run_id == promise.run_id, 2, f"{promise.key} made {promise.run_id}, and now {run_id}")
        demand(body == promise.body, 2, f"{promise.key} came with another body and was answered {run_id}")

    def _conflicted(self, promise: Promise | None, body: dict[str, Any]) -> None:
        self.world.note("refused: another body")
        demand(promise is not None, 2, "a conflict without a key")
        assert promise is not None
        is_same = promise.run_id is not None and body == promise.body
        demand(not is_same, 2, f"{promise.key} is refused the body that it made {promise.run_id} from")


def _shown(body: dict[str, Any]) -> str:
    shown = {name: value for name, value in body.items() if name not in ("recipe", "secrets")}
    return f"{shown}{' with a secret' if 'secrets' in body else ''}"
