"""Reads a training's log as it comes, and remembers from one portion to the next what it needs for the following one.

tqdm's bar (`5/20 [00:00<00:00, 18.05it/s]`) is redrawn with `\\r`. The one of the training has no name before it; those
of downloads, tokenising and saving do, and an evaluation's has a smaller total. A dict does not name its step: it is
that of the next logging step at or after the last bar.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from service.domain.log_line import LogLine
from service.domain.moment import iso
from service.domain.progress.dashboard import dashboard_in
from service.domain.progress.pace import Mark, eta, mean_step_seconds, with_mark
from service.domain.progress.phase import Phase, phase_after
from service.domain.progress.point import Point, points_in
from service.domain.progress.trend import Trend

BAR = re.compile(r"(?<!\d)(\d{1,9})/(\d{1,9}) \[[\d:]{1,12}<((?:\d{1,4}:)?\d{1,4}:\d{1,4}|\?)")
# What stands before the numbers of a bar without a name: a share and the bar itself; `[rank0]:` of a launcher aside.
NO_NAME = re.compile(r"^(?:\[\w+\]:?)?\s*(?:\x1b\[[\d;]*[A-Za-z]|\s)*(?:\d{1,3}%\|[^|]*\|)?\s*$")
# A bar or a dict is at one end of a line; what is longer is data.
END_CHARACTERS = 2000


@dataclass(frozen=True)
class Hints:
    """What a recipe says before the log does: steps in all, and steps from one dict to the next."""

    total_steps: int | None = None
    logging_steps: int | None = None


@dataclass(frozen=True)
class Progress:
    """The latest known numbers; None where the log has not said. Seconds until the last step as of the last line."""

    step: int | None = None
    total_steps: int | None = None
    loss: float | None = None
    eta_seconds: int | None = None
    eta_low_seconds: int | None = None
    eta_high_seconds: int | None = None
    # Trainer's own `train_runtime`, said at the end of training
    train_seconds: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    epoch: float | None = None
    tokens: int | None = None
    eval_loss: float | None = None
    steps_per_second: float | None = None
    phase: str | None = None
    dashboard: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether the log said anything of a training: a script's first lines, whatever it does, are its setup."""
        return self not in (Progress(), Progress(phase=Phase.SETUP))

    def as_json(self) -> dict[str, Any]:
        """The `progress` member of the run object."""
        return asdict(self)


@dataclass
class Reader:
    """What has been read so far. `points` are those of the last portion. `active_at`: when a bar or a number last came,
    of whatever it was: an evaluation or a download is at work too."""

    hints: Hints = field(default_factory=Hints)
    progress: Progress = field(default_factory=Progress)
    marks: list[Mark] = field(default_factory=list)
    bar_step: int | None = None
    dict_step: int | None = None
    trend: Trend = field(default_factory=Trend)
    active_at: datetime | None = None
    points: list[Point] = field(default_factory=list)

    def read(self, lines: Iterable[LogLine]) -> Progress:
        """Take in the next lines."""
        self.points = []
        for line in lines:
            for part in line.text.split("\r"):
                self._read(part, line.at)
        return self.progress

    def report(self, point: Point) -> Progress:
        """Take in what a job told otherwise than by its log."""
        self.points = []
        self._take(point)
        before = None if self.progress.phase is None else Phase(self.progress.phase)
        self.progress = replace(self.progress, phase=phase_after(before, "", is_training=point.kind != "summary"))
        return self.progress

    def as_json(self) -> dict[str, Any]:
        """Everything but the points and the hints, for the next portion."""
        return {
            "progress": self.progress.as_json(),
            "marks": [[iso(mark.at), mark.step] for mark in self.marks],
            "bar_step": self.bar_step,
            "dict_step": self.dict_step,
            "trend": self.trend.as_json(),
            "active_at": None if self.active_at is None else iso(self.active_at),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any] | None, hints: Hints) -> Reader:
        """As it was left."""
        if kept is None:
            return cls(hints)
        active_at = kept["active_at"]
        return cls(
            hints,
            Progress(**kept["progress"]),
            [Mark(datetime.fromisoformat(at), step) for at, step in kept["marks"]],
            kept["bar_step"],
            kept["dict_step"],
            Trend.from_json(kept["trend"]),
            None if active_at is None else datetime.fromisoformat(active_at),
        )

    def _read(self, text: str, at: datetime | None) -> None:
        ends = text if len(text) <= 2 * END_CHARACTERS else f"{text[:END_CHARACTERS]} {text[-END_CHARACTERS:]}"
        before = self.progress
        for bar in BAR.finditer(ends):
            self.active_at = at or self.active_at
            self._take_bar(bar, at)
        for point in points_in(ends):
            self._take(replace(point, at=at))
        phase = None if before.phase is None else Phase(before.phase)
        is_training = (self.progress.step, self.progress.loss) != (before.step, before.loss)
        now = phase_after(phase, ends, is_training=is_training)
        changes: dict[str, Any] = {"phase": now}
        if self.progress.dashboard is None and (dashboard := dashboard_in(ends)) is not None:
            changes["dashboard"] = dashboard
        self.progress = replace(self.progress, **changes)

    def _take_bar(self, bar: re.Match[str], at: datetime | None) -> None:
        step, total = int(bar[1]), int(bar[2])
        if step > total or not NO_NAME.match(bar.string[: bar.start()]) or not self._may_be_training(total):
            return
        self.bar_step = step
        self.progress = replace(self.progress, eta_seconds=_seconds(bar[3]))
        self._go_to(step, total, at)

    def _may_be_training(self, total: int) -> bool:
        """A bar of another length is another bar, unless the one before was over and no step had been told yet."""
        known = self.hints.total_steps or self.progress.total_steps
        if known is None or total == known:
            return True
        is_over = self.bar_step == known and self.dict_step is None and self.progress.train_seconds is None
        return is_over and self.hints.total_steps is None

    def _take(self, point: Point) -> None:
        point = point.unfiltered()
        if point.kind == "train":
            point = replace(point, step=self._step_of(point))
            self.dict_step = point.step
        elif point.step is None:
            point = replace(point, step=self.progress.step)
        self.points.append(point)
        self.trend.take(point)
        self.active_at = point.at or self.active_at
        if point.step is not None:
            self._go_to(point.step, point.total_steps, point.at)
        told: dict[str, Any] = {
            "loss": point.get("loss") if point.kind == "train" else None,
            "learning_rate": point.get("learning_rate"),
            "grad_norm": point.get("grad_norm"),
            "epoch": point.get("epoch"),
            "tokens": None if (tokens := point.get("num_tokens")) is None else int(tokens),
            "eval_loss": point.get("eval_loss", "eval/loss"),
            "train_seconds": point.get("train_runtime"),
        }
        changes = {name: value for name, value in told.items() if value is not None}
        # what is no number any more is not shown as it last was
        changes |= dict.fromkeys(told.keys() & {*point.not_finite})
        self.progress = replace(self.progress, **changes)

    def _step_of(self, point: Point) -> int | None:
        if point.step is not None:
            return point.step
        every, bar, last = self.hints.logging_steps, self.bar_step, self.dict_step
        if every is None or every < 1:
            return bar
        following = every if last is None else (last // every + 1) * every
        if bar is not None and bar > following:
            following = math.ceil(bar / every) * every
        total = self.progress.total_steps
        return following if total is None else min(following, total)

    def _go_to(self, step: int, total: int | None, at: datetime | None) -> None:
        total = total or self.progress.total_steps or self.hints.total_steps
        if at is not None:
            self.marks = with_mark(self.marks, Mark(at, step))
        found = eta(self.marks, None if total is None else max(0, total - step))
        changes: dict[str, Any] = {"step": step, "total_steps": total}
        if found is not None:
            changes |= {
                "eta_seconds": round(found.seconds),
                "eta_low_seconds": round(found.low),
                "eta_high_seconds": round(found.high),
            }
        if (pace := mean_step_seconds(self.marks)) is not None:
            changes["steps_per_second"] = float(f"{1 / pace:.4g}")
        self.progress = replace(self.progress, **changes)


def _seconds(clock: str) -> int | None:
    if clock == "?":
        return None
    total = 0
    for part in clock.split(":"):
        total = total * 60 + int(part)
    return total
