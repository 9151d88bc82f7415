"""The guards' rules: what is wrong with a running training, by its log so far, the clock and the money."""

from collections.abc import Callable, Iterator
from datetime import datetime

from service.domain.alarm.bounds import cost, timeout
from service.domain.alarm.training import divergence, nan, stall
from service.domain.alarm.watched import Alarm, Watched

__all__ = ["Alarm", "Watched", "alarms"]

RULES: tuple[Callable[[Watched, datetime], Alarm | None], ...] = (nan, divergence, stall, timeout, cost)


def alarms(watched: Watched, now: datetime) -> Iterator[Alarm]:
    """Everything that is wrong just now."""
    for rule in RULES:
        if (found := rule(watched, now)) is not None:
            yield found
