"""A rule between flags, and the flags as TRL's script sees them when the rule is judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.trl.flags import Release


@dataclass(frozen=True)
class Flags:
    """What is set, and the release's own defaults for the rest, with the few things that the real classes derive."""

    release: Release
    given: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        if name in self.given:
            return self.given[name]
        flag = self.release.flags.get(name)
        return None if flag is None else flag.default

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        return self[name] is True

    def table(self, name: str) -> Mapping[str, Any]:
        """An object, also where it came as a JSON text; empty where it is neither."""
        value = self[name]
        if isinstance(value, str):
            value = read_object(value)
        return value if isinstance(value, Mapping) else {}

    @property
    def evaluates(self) -> bool:
        """Whether there is an evaluation dataset: sft.py passes one exactly then."""
        return self["eval_strategy"] not in (None, "no")

    @property
    def eval_steps(self) -> float:
        """TrainingArguments.__post_init__: left out or 0, they are logging_steps."""
        return float(self["eval_steps"] or self["logging_steps"])

    @property
    def bf16(self) -> bool:
        """TRL's _BaseConfig.__post_init__: on unless fp16 is."""
        return not self.on("fp16") if self["bf16"] is None else self.on("bf16")

    @property
    def checkpointing(self) -> bool:
        """TrainingArguments.__post_init__: the new name goes before the old one."""
        new = self["activation_checkpointing"]
        return self.on("gradient_checkpointing") if new is None else new is True

    @property
    def checkpointing_kwargs(self) -> str:
        """The flag that says how gradients are checkpointed."""
        names = ("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs")
        return names[0] if self[names[0]] is not None else names[1]

    @property
    def skips_preparation(self) -> bool:
        """Whether the rows are taken as they are, neither cut nor packed."""
        return bool(self.table("dataset_kwargs").get("skip_prepare_dataset"))


@dataclass(frozen=True)
class Rule:
    """`reads` are the flags that take part, the one to change first. `says` and `remedy` may quote flags as `{name}`.
    `source` is where the real code raises; `releases` those that do, all where it is None."""

    name: str
    reads: tuple[str, ...]
    broken: Callable[[Flags], bool]
    says: str
    remedy: str
    source: str
    releases: tuple[str, ...] | None = None

    @property
    def flag(self) -> str:
        """The flag to change."""
        return self.reads[0]

    def message(self, flags: Flags) -> str:
        """The rule as it is told, with the values that break it."""
        return self.says.format_map({name: _short(flags[name]) for name in self.reads})

    def judges(self, flags: Flags) -> bool:
        """Whether it holds for this release, and is broken by these flags."""
        return (self.releases is None or flags.release.version in self.releases) and self.broken(flags)


def read_object(text: str) -> Mapping[str, Any] | None:
    """A text as the object that it is in JSON; None where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _short(value: object) -> str:
    if isinstance(value, list) and len(set(map(str, value))) == 1:
        value = value[0]  # a name that is said twice, by `Lora.as_flags`
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 80 else text[:79] + "…"
