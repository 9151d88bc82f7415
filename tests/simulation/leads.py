"""Who decides: leads and admins with their budgets, limits, pauses, approvals, changes and kill switches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session

from service.api import limits, steering
from service.api.auth import Caller
from service.api.steering_schemas import ApprovalRulesPut, Decision, RunPatch, TeamStop
from service.api.team_schemas import LimitsPut, OrganisationPatch, TeamPatch
from service.domain.access import Role
from service.domain.budget import Period
from service.domain.errors import ServiceError
from service.store import budgets
from service.store.budgets import Owner, Terms
from tests.factories import make_team
from tests.simulation.process import NAMESPACE
from tests.simulation.world import World

ADMIN = Caller(Role.ADMIN, None, "admin")


@dataclass
class Leads:
    """They go through the functions of the API's own routes, each a transaction of its own."""

    world: World

    def found_team(self, name: str) -> None:
        """A new team."""
        self.world.gate.db.write(lambda session: make_team(session, self.world.clock.wall(), name))

    def budget(self, owner: Owner, period: Period, terms: Terms) -> None:
        """Grant a budget, or change its terms."""
        self._decide(
            f"budget of {owner.subject}/{period}: {terms.limit_micro_usd}{'' if terms.hard else ', soft'}",
            lambda session: budgets.grant(session, owner, period, terms, "admin", self.world.clock.wall()),
        )

    def end_budget(self, owner: Owner, period: Period) -> None:
        """Take a budget away."""

        def work(session: Session) -> None:
            if (budget := budgets.find(session, owner, period)) is not None:
                budgets.end(session, budget, "admin", self.world.clock.wall())

        self._decide(f"no budget of {owner.subject}/{period} any more", work)

    def grant_once(self, owner: Owner, period: Period, amount: int) -> None:
        """Money for the present window alone."""

        def work(session: Session) -> None:
            if (budget := budgets.find(session, owner, period)) is not None:
                budgets.add_once(session, budget, amount, "admin", None, self.world.clock.wall())

        self._decide(f"{amount} once for {owner.subject}/{period}", work)

    def limit(self, team: str, most: int | None, per_user: int | None) -> None:
        """PUT /teams/{team}/limits."""
        body = LimitsPut(max_concurrent_runs=most, max_concurrent_runs_per_user=per_user)
        self._decide(
            f"limits of {team}: {most}, {per_user} a user",
            lambda session: limits._set_limits(session, ADMIN, team, body, self.world.clock.wall()),
        )

    def organisation(self, **fields: Any) -> None:
        """PATCH /organisation."""
        body = OrganisationPatch(**fields)
        self._decide(
            f"organisation: {fields}",
            lambda session: limits._change_organisation(session, ADMIN, body, NAMESPACE, self.world.clock.wall()),
        )

    def team(self, name: str, **fields: Any) -> None:
        """PATCH /teams/{team}: its weight and time zone."""
        body = TeamPatch(**fields)
        self._decide(
            f"team {name}: {fields}",
            lambda session: limits._change_team(session, ADMIN, name, body, self.world.clock.wall()),
        )

    def pause(self, run_id: str, stop: bool) -> None:
        """POST /runs/{id}/pause and /resume."""
        self._decide(
            f"{'pause' if stop else 'resume'} {run_id[-6:]}",
            lambda session: steering._pause(session, run_id, ADMIN, stop, self.world.clock.wall()),
        )

    def pause_team(self, name: str, stop: bool) -> None:
        """POST /teams/{team}/pause and /resume."""
        self._decide(
            f"{'pause' if stop else 'resume'} {name}",
            lambda session: steering._pause_team(session, name, ADMIN, stop, self.world.clock.wall()),
        )

    def pause_queue(self, stop: bool) -> None:
        """POST /queue/pause and /resume."""
        self._decide(
            f"{'pause' if stop else 'resume'} the queue",
            lambda session: steering._pause_queue(session, ADMIN, stop, self.world.clock.wall()),
        )

    def rules(self, name: str, **fields: Any) -> None:
        """PUT /teams/{team}/approval-rules."""
        body = ApprovalRulesPut(**fields)
        self._decide(
            f"approval in {name}: {fields}",
            lambda session: steering._set_rules(session, name, body, ADMIN, self.world.clock.wall()),
        )

    def judge(self, run_id: str, approve: bool) -> None:
        """POST /runs/{id}/approve and /refuse."""
        decide = steering._approve if approve else steering._refuse
        self._decide(
            f"{'approve' if approve else 'refuse'} {run_id[-6:]}",
            lambda session: decide(session, run_id, Decision(), ADMIN, self.world.clock.wall()),
        )

    def change(self, run_id: str, **fields: Any) -> None:
        """PATCH /runs/{id}."""
        body = RunPatch(**fields)
        self._decide(
            f"change {run_id[-6:]}: {fields}",
            lambda session: steering._patch(session, run_id, body, ADMIN, self.world.clock.wall()),
        )

    def stop(self, name: str, pause: bool) -> None:
        """POST /teams/{team}/cancel-runs: the kill switch."""
        self._decide(
            f"stop all runs of {name}{', and pause it' if pause else ''}",
            lambda session: steering._stop_team(session, name, TeamStop(pause=pause), ADMIN, self.world.clock.wall()),
        )

    def _decide(self, text: str, work: Callable[[Session], object]) -> None:
        world = self.world

        def act() -> None:
            try:
                world.gate.db.write(work)
            except (ServiceError, ValidationError) as error:
                world.note(f"refused: {error}")

        world.note(text)
        world.request(act)
