"""The corpus: short logs as real programs print them, each with the causes that are accepted for it and its source."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.domain.diagnosis import Failure, Seen, diagnose

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Case:
    """One log. `is_held_out`: no rule was written with it in view. `is_blind`: nothing was mended by it either, so some
    are diagnosed wrong. `shows`: a part of the line that a person would
    point at, where that is not plain."""

    name: str
    causes: tuple[str, ...]
    retry: str | None
    shows: str | None
    seen: Seen
    source: str
    is_held_out: bool
    is_blind: bool

    def diagnose(self) -> Failure:
        """What the classifier makes of it."""
        return diagnose(self.seen)

    def is_right(self, found: Failure) -> bool:
        """Whether that is accepted."""
        return found.cause.value in self.causes and self.retry in (None, found.retry.value)


def cases() -> Iterator[Case]:
    """All cases, file by file."""
    for path in sorted(CORPUS.rglob("*.toml")):
        for raw in tomllib.loads(path.read_text())["case"]:
            yield _case(raw, path)


def _case(raw: dict[str, Any], path: Path) -> Case:
    text = (CORPUS / raw["file"]).read_bytes().decode() if "file" in raw else raw.get("log", "")
    seen = Seen(text.split("\n"), raw.get("exit"), raw.get("status"), raw.get("cancel"), raw.get("stage"))
    blind = path.parent.name == "blind"
    held_out = path.parent.name == "held_out" or blind
    name = f"{path.relative_to(CORPUS).with_suffix('')}: {raw['name']}"
    return Case(name, tuple(raw["cause"]), raw.get("retry"), raw.get("shows"), seen, raw["source"], held_out, blind)
