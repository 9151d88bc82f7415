"""What may happen next: a weighted choice among steps, people, misfortunes, and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation import misfortunes
from tests.simulation.backup import Backup, make_backup
from tests.simulation.drawing import (
    USERS,
    ZONES,
    draw_body,
    draw_change,
    draw_limit,
    draw_organisation,
    draw_owner,
    draw_period,
    draw_rules,
    draw_schedule,
    draw_sweep,
    draw_terms,
)
from tests.simulation.leads import Leads
from tests.simulation.origins import Origins
from tests.simulation.people import People, Promise
from tests.simulation.threads import STEPS
from tests.simulation.world import World

MOST_SCHEDULES = 2


@dataclass
class Actions:
    """Each takes what it needs from the seed."""

    world: World
    people: People
    leads: Leads
    origins: Origins
    backups: list[Backup] = field(default_factory=list)

    def one_step(self) -> None:
        """A pass of one step."""
        world = self.world
        world.threads.run_step(world.chance.choice(world.processes), world.chance.choice(tuple(STEPS)))

    def all_steps(self) -> None:
        """A pass of every step."""
        self.world.threads.run_all(self.world.chance.choice(self.world.processes))

    def submit(self) -> None:
        """A new run, half of the time under a key."""
        world = self.world
        team, user = world.chance.choice(world.mood.teams), world.chance.choice(USERS)
        others = [seen.id for seen in world.witness.runs.values() if seen.team == team]
        body = draw_body(world.chance, others[-4:], world.clock.wall())
        world.secrets.values += body.get("secrets", {}).values()
        promise = None
        if world.chance.random() < 0.5:
            promise = Promise(team, user, f"key-{len(self.people.promises)}", body)
            self.people.promises.append(promise)
        self.people.submit(team, user, body, promise)

    def repeat(self) -> None:
        """A request that was made before; now and then its key comes with another body."""
        if not self.people.promises:
            return
        promise = self.world.chance.choice(self.people.promises)
        is_other = self.world.chance.random() < 0.25
        body = {**promise.body, "priority": 7} if is_other else promise.body
        self.people.submit(promise.team, promise.user, body, promise)

    def cancel(self) -> None:
        """Somebody wants a run stopped."""
        if run_id := self._some_run():
            self.people.cancel(run_id)

    def schedule(self) -> None:
        """Runs are to come by themselves, but not of more than a few schedules: each goes on for ever."""
        world = self.world
        if len(self.origins.scheduled()) < MOST_SCHEDULES:
            team, user = world.chance.choice(world.mood.teams), world.chance.choice(USERS)
            self.origins.schedule(team, user, draw_schedule(world.chance, world.clock.wall()))

    def sweep(self) -> None:
        """A run for each of a few points."""
        world = self.world
        team, user = world.chance.choice(world.mood.teams), world.chance.choice(USERS)
        self.origins.sweep(team, user, draw_sweep(world.chance, world.clock.wall()))

    def money(self) -> None:
        """More money, or less than is reserved; none any more; or some for once."""
        chance = self.world.chance
        owner, period = draw_owner(chance, self.world.mood.teams), draw_period(chance)
        what = chance.random()
        if what < 0.7:
            self.leads.budget(owner, period, draw_terms(chance))
        elif what < 0.85:
            self.leads.grant_once(owner, period, chance.randint(100, 5_000))
        else:
            self.leads.end_budget(owner, period)

    def limit(self) -> None:
        """More slots, or fewer; another share; another zone."""
        chance = self.world.chance
        team = chance.choice(self.world.mood.teams)
        what = chance.random()
        if what < 0.5:
            self.leads.limit(team, draw_limit(chance), draw_limit(chance))
        elif what < 0.75:
            self.leads.organisation(**draw_organisation(chance))
        else:
            self.leads.team(team, weight=chance.choice((0.5, 1, 3)), time_zone=chance.choice(ZONES))

    def pause(self) -> None:
        """A run, a team or the whole queue is paused, or goes on."""
        chance = self.world.chance
        stop, what = chance.random() < 0.5, chance.random()
        if what < 0.15:
            self.leads.pause_queue(stop)
        elif what < 0.4:
            self.leads.pause_team(chance.choice(self.world.mood.teams), stop)
        elif run_id := self._some_run():
            self.leads.pause(run_id, stop)

    def approve(self) -> None:
        """Other rules, or a decision by them."""
        chance = self.world.chance
        if chance.random() < 0.3:
            self.leads.rules(chance.choice(self.world.mood.teams), **draw_rules(chance))
        elif run_id := self._some_run("awaiting_approval"):
            self.leads.judge(run_id, chance.random() < 0.7)

    def change(self) -> None:
        """A run that waits becomes another one."""
        if run_id := self._some_run():
            self.leads.change(run_id, **draw_change(self.world.chance))

    def stop_team(self) -> None:
        """The kill switch."""
        self.leads.stop(self.world.chance.choice(self.world.mood.teams), self.world.chance.random() < 0.3)

    def make_backup(self) -> None:
        """The database is copied."""
        if self.world.mood.restores:
            self.backups.append(make_backup(self.world, len(self.backups)))

    def restore(self) -> None:
        """A copy is put back, mostly the last one, or somebody starts it elsewhere."""
        if not self.backups:
            return
        chance = self.world.chance
        backup = self.backups[-1] if chance.random() < 0.6 else chance.choice(self.backups)
        if chance.random() < 0.8:
            backup.put_back(self.world, self.people)
            self.origins.forget()
        else:
            backup.start_elsewhere(self.world)

    def _some_run(self, reason: str | None = None) -> str | None:
        """One that has not ended."""
        runs = self.world.witness.runs.values()
        going = [seen.id for seen in runs if not seen.state.is_terminal and reason in (None, seen.reason)]
        return self.world.chance.choice(going) if going else None


WEIGHTS: dict[str, float] = {
    "one_step": 24,
    "all_steps": 22,
    "wait": 16,
    "submit": 20,
    "repeat": 4,
    "schedule": 1,
    "sweep": 2,
    "cancel": 5,
    "money": 4,
    "limit": 2,
    "pause": 2,
    "approve": 3,
    "change": 2,
    "stop_team": 0.5,
    "set_clock": 2,
    "switch_faults": 5,
    "change_price": 1,
    "strange_commit": 3,
    "end_job": 5,
    "tell_secret": 4,
    "run_over": 3,
    "strange_job": 1,
    "copy_job": 1,
    "crash": 1,
    "make_backup": 6,
    "restore": 3,
}

# Beside a request under way: no whole rounds, no crash but those at the cuts, and no other database.
NOT_ASIDE = {"all_steps", "crash", "switch_faults", "wait", "restore"}
ASIDE = {name: weight for name, weight in WEIGHTS.items() if name not in NOT_ASIDE}


def act(actions: Actions, weights: dict[str, float]) -> None:
    """The next thing that happens."""
    (chosen,) = actions.world.chance.choices(tuple(weights), tuple(weights.values()))
    own: Callable[[], None] | None = getattr(actions, chosen, None)
    if own is not None:
        own()
    else:
        getattr(misfortunes, chosen)(actions.world)
