"""What was found in an output repository once the job had ended, and every check of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from service.domain.finding import Verdict

# What the Hub makes by itself, or a card adds: having changed no other file is not having published.
NOT_A_MODEL = frozenset({".gitattributes", "README.md"})
SHARDED = ("deepspeed", "fsdp")
ANEW = (
    "TRL's script publishes by itself: submit it anew with an output_repo that nothing else writes to, and leave "
    "out hub_strategy and hub_always_push in recipe.args."
)


class Due(StrEnum):
    """What a recipe must have published."""

    MODEL = "model"
    ADAPTER = "adapter"
    ANYTHING = "anything"


@dataclass(frozen=True)
class File:
    """A file at a commit. `oid` names its content (sha256 in large file storage, else git's name); None: not told."""

    path: str
    size_bytes: int | None
    oid: str | None = None


@dataclass(frozen=True)
class Check:
    """One check of an output."""

    check: str
    verdict: Verdict
    message: str
    remedy: str | None = None

    def as_json(self) -> dict[str, Any]:
        """An item of `output.checks`."""
        return {"check": self.check, "outcome": self.verdict.value, "message": self.message, "remedy": self.remedy}


@dataclass(frozen=True)
class Output:
    """What was found in an output repository. `revision` None: no commit that this attempt published; `made_at`: when
    its commit was made."""

    revision: str | None
    files: tuple[File, ...]
    checks: tuple[Check, ...]
    made_at: datetime | None = None

    @property
    def failed(self) -> list[Check]:
        """The checks that it did not pass; a success has none."""
        return [check for check in self.checks if check.verdict is Verdict.FAILED]


def due(recipe: Mapping[str, Any]) -> Due:
    """What a stored recipe must have published."""
    if recipe.get("kind") != "trl_sft":
        return Due.ANYTHING
    return Due.MODEL if recipe.get("lora") is None else Due.ADAPTER


def for_recipe(check: Check, recipe: Mapping[str, Any]) -> Check:
    """A check with the remedy that the caller of its recipe has: of TRL's script, which publishes by itself, its flags
    and the repository can be changed."""
    if check.verdict is not Verdict.FAILED or recipe.get("kind") != "trl_sft":
        return check
    sharded = [name for name in SHARDED if recipe.get("args", {}).get(name)]
    # accelerate, Accelerator.get_state_dict: ZeRO 3 gives weights out only where it is told to gather them
    remedy = f"Submit it without {sharded[0]}, or have it gather all weights where it saves." if sharded else ANEW
    return replace(check, remedy=remedy)


def differ(before: Sequence[File], now: Sequence[File]) -> bool:
    """Whether any file but the card is another one than before."""
    contents = [{(one.path, one.size_bytes, one.oid) for one in files} for files in (before, now)]
    return any(path not in NOT_A_MODEL for path, _, _ in contents[0] ^ contents[1])
