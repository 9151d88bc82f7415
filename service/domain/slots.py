"""Slots: how many runs may be active at once, in every dimension that bounds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Slot(NamedTuple):
    """One bound, such as (`team`, `research`)."""

    kind: str
    name: str

    def __str__(self) -> str:
        """As it is called in a sentence; what makes runs is called by its id alone."""
        if self.kind == "organisation":
            return "the organisation"
        return self.name if self.kind == "origin" else f"{self.kind} {self.name}"


class TakesSlots(Protocol):
    """A run as far as slots are concerned."""

    @property
    def team(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def flavor(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def origin(self) -> str | None: ...


ORGANISATION = Slot("organisation", "")


def slots_of(run: TakesSlots) -> tuple[Slot, ...]:
    """The slots that a run takes one of each, in the order in which they are checked."""
    taken = (
        ORGANISATION,
        Slot("namespace", run.namespace),
        Slot("flavor", run.flavor),
        Slot("team", run.team),
        Slot("user", f"{run.team}/{run.user}"),
    )
    return taken if run.origin is None else (*taken, Slot("origin", run.origin))


@dataclass(frozen=True)
class SlotLimits:
    """How many active runs each slot holds; what is not named has no limit. `per_user` is by team."""

    organisation: int
    namespaces: Mapping[str, int]
    flavors: Mapping[str, int]
    teams: Mapping[str, int]
    per_user: Mapping[str, int]
    origins: Mapping[str, int] = field(default_factory=dict)

    def of(self, slot: Slot) -> int | None:
        """The limit of one slot."""
        match slot.kind:
            case "organisation":
                return self.organisation
            case "namespace":
                return self.namespaces.get(slot.name)
            case "flavor":
                return self.flavors.get(slot.name)
            case "team":
                return self.teams.get(slot.name)
            case "origin":
                return self.origins.get(slot.name)
        return self.per_user.get(slot.name.partition("/")[0])
