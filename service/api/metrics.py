"""Prometheus: gauges read from the database at each scrape, so that every process tells the same; but for the few
that say how the process itself is."""

from __future__ import annotations

from fastapi.responses import Response
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from service.api.auth import Admin
from service.api.contract import Routes
from service.api.problems import responses
from service.api.state import App, State
from service.domain.budget import Balance
from service.domain.money import to_usd
from service.store import gauges
from service.store.gauges import Backlog, BilledTotals, Held, OpenRuns
from service.store.tables import Budget

router = Routes("metrics")


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={**responses(403), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def read_metrics(_caller: Admin, app: App) -> Response:
    """For a scraper that carries an admin's key as its bearer token."""
    registry = CollectorRegistry()  # of this scrape alone: nothing is kept between two
    with app.gate.db.read() as session:
        _budgets(registry, gauges.balances(session, app.now()))
        _billing(registry, gauges.billed_totals(session))
        _runs(registry, gauges.open_runs(session, app.now()))
        _backlog(registry, gauges.backlog(session, app.now()))
        _lease(registry, gauges.held(session, app.now()))
    _process(registry, app)
    told = generate_latest(registry) + generate_latest(app.meters)
    return Response(told, headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})


def _budgets(registry: CollectorRegistry, balances: list[tuple[Budget, Balance]]) -> None:
    labels = ("budget", "period")
    limit = Gauge("tunegate_budget_limit_usd", "Without carried and granted money", labels, registry=registry)
    remaining = Gauge("tunegate_budget_remaining_usd", "May still be reserved, all counted", labels, registry=registry)
    reserved = Gauge("tunegate_budget_reserved_usd", "Held in the present window", labels, registry=registry)
    charged = Gauge("tunegate_budget_charged_usd", "Charged in the present window", labels, registry=registry)
    for budget, balance in balances:
        owner = (budget.subject, budget.period)
        limit.labels(*owner).set(to_usd(budget.limit_micro_usd))
        remaining.labels(*owner).set(to_usd(balance.remaining))
        reserved.labels(*owner).set(to_usd(balance.reserved))
        charged.labels(*owner).set(to_usd(balance.charged))


def _billing(registry: CollectorRegistry, totals: BilledTotals) -> None:
    """What is not known has no sample: it is no 0."""
    samples = (
        ("tunegate_metered_usd", "All that was charged, by running time", to_usd(totals.metered)),
        ("tunegate_billed_usd", "What Hugging Face billed, of attempts whose bill is known", _usd(totals.billed)),
        ("tunegate_billing_drift_usd", "Billed less metered, of attempts whose bill is known", _usd(totals.drift)),
        ("tunegate_billing_drifted_attempts", "Attempts that were billed otherwise than metered", totals.drifted),
        ("tunegate_unbilled_attempts", "Charged attempts whose bill is not known", totals.unbilled),
    )
    for name, says, value in samples:
        if value is not None:
            Gauge(name, says, registry=registry).set(value)


def _runs(registry: CollectorRegistry, found: OpenRuns) -> None:
    queued = Gauge("tunegate_queued_runs", "Runs that wait", ("team",), registry=registry)
    active = Gauge("tunegate_active_runs", "Runs that hold a slot", ("team",), registry=registry)
    for team, (waiting, going) in found.by_team.items():
        queued.labels(team).set(waiting)
        active.labels(team).set(going)
    reasons = Gauge("tunegate_waiting_runs", "Runs that wait, by their reason", ("reason",), registry=registry)
    for reason, number in found.reasons.items():
        reasons.labels(reason).set(number)
    oldest = Gauge(
        "tunegate_queue_age_seconds", "How long a team's oldest waiting run has waited", ("team",), registry=registry
    )
    for team, age in found.ages.items():
        oldest.labels(team).set(age)
    if found.ages:
        Gauge(
            "tunegate_oldest_queued_seconds",
            "How long the oldest of the runs that wait has waited",
            registry=registry,
        ).set(max(found.ages.values()))


def _backlog(registry: CollectorRegistry, behind: Backlog) -> None:
    for name, says, value in (
        ("tunegate_prices_age_seconds", "Since Hugging Face's prices were last read", behind.prices_age),
        ("tunegate_pending_deliveries", "Webhook deliveries that have not arrived yet", behind.pending_deliveries),
        (
            "tunegate_webhook_lag_seconds",
            "How long the oldest letter has been due, of endpoints that do not fail",
            behind.webhook_lag,
        ),
    ):
        if value is not None:
            Gauge(name, says, registry=registry).set(value)
    strays = Gauge("tunegate_live_strays", "Live jobs that no run accounts for", ("kind",), registry=registry)
    for kind, number in behind.strays.items():
        strays.labels(kind).set(number)


def _lease(registry: CollectorRegistry, held: Held | None) -> None:
    if held is not None:
        Gauge("tunegate_lease_fence", "Grows with each change of the leading process", registry=registry).set(
            held.fence
        )
        Gauge("tunegate_lease_seconds", "How long the lease is still good for", registry=registry).set(held.left)


def _process(registry: CollectorRegistry, app: State) -> None:
    Gauge("tunegate_leads", "1 where this process runs the steps", registry=registry).set(app.is_leading())
    ages = Gauge("tunegate_step_age_seconds", "Since this process last ran a step", ("step",), registry=registry)
    for step, age in app.ages().items():
        if age is not None:
            ages.labels(step).set(age)


def _usd(micro_usd: int | None) -> float | None:
    return None if micro_usd is None else to_usd(micro_usd)
