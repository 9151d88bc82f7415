"""What a process measures of itself, beside what `/metrics` reads from the database: its steps, what they decide, its
letters, its create calls, and its calls to Hugging Face. Each process tells its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.flow.gate import Ears
from service.hub.governor import Governor

# A series for the moment at which each counter began is of no use to anybody.
disable_created_metrics()  # type: ignore[no-untyped-call]

STEP_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60)
SUBMIT_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
DELIVERY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


class HubCalls(Collector):
    """`calls` by kind and outcome, and the `governors` by team ("": of the service's own tokens), are asked for at each
    scrape."""

    def __init__(
        self,
        calls: Callable[[], Mapping[tuple[str, str], int]],
        governors: Callable[[], Mapping[str, Governor]],
        clock: Callable[[], datetime],
    ) -> None:
        self._calls, self._governors, self._clock = calls, governors, clock

    def collect(self) -> Iterable[Metric]:
        """As they are now."""
        counted = CounterMetricFamily(
            "tunegate_hub_calls", "Calls to Hugging Face of this process", labels=("kind", "outcome")
        )
        for labels, number in self._calls().items():
            counted.add_metric(labels, number)
        left = GaugeMetricFamily("tunegate_hub_calls_left", "Of the present rate-limit window", labels=("team",))
        limit = GaugeMetricFamily("tunegate_hub_calls_limit", "Of a rate-limit window", labels=("team",))
        lists = GaugeMetricFamily(
            "tunegate_hub_list_seconds",
            "How long the budget of calls makes a round of all lists last; 0: as often as wanted",
            labels=("team",),
        )
        for team, governor in self._governors().items():
            if governor.limit is not None and governor.remaining is not None:
                limit.add_metric((team,), governor.limit)
                left.add_metric((team,), governor.left(self._clock()))
            lists.add_metric((team,), governor.list_seconds(self._clock()))
        return counted, left, limit, lists


class Meters:
    """Those of one process."""

    def __init__(self, hub_calls: HubCalls) -> None:
        self.registry = CollectorRegistry()
        self._steps = Histogram(
            "tunegate_step_seconds",
            "How long a pass of a step took",
            ("step",),
            buckets=STEP_BUCKETS,
            registry=self.registry,
        )
        self._submits = Histogram(
            "tunegate_submit_seconds",
            "From a run's admission to the answer to its create call",
            buckets=SUBMIT_BUCKETS,
            registry=self.registry,
        )
        self._decisions = Counter(
            "tunegate_admissions",
            "What admission decided of runs: admit, reject, hold, or wait for a reason that they were not told before",
            ("outcome", "reason"),
            registry=self.registry,
        )
        self._tries = Counter(
            "tunegate_deliveries",
            "Letters that were tried, by what came of it",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self._arrivals = Histogram(
            "tunegate_delivery_seconds",
            "From what a letter tells of to its arrival",
            buckets=DELIVERY_BUCKETS,
            registry=self.registry,
        )
        self.registry.register(hub_calls)
        self.ears = Ears(submitted=self._submits.observe, decided=self._decided, tried=self._tried)

    def passed(self, step: str, seconds: float) -> None:
        """A pass of a step is over."""
        self._steps.labels(step).observe(seconds)

    def _decided(self, outcome: str, reason: str) -> None:
        self._decisions.labels(outcome, reason).inc()

    def _tried(self, kind: str, has_arrived: bool, seconds: float) -> None:
        self._tries.labels(kind, "arrived" if has_arrived else "failed").inc()
        if has_arrived:
            self._arrivals.observe(seconds)
