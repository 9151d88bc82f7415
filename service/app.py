"""The application: routers, error handlers, lifespan; nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from service.api import (
    anew,
    audit,
    billing,
    budgets,
    burn_down,
    callbacks,
    checkpoints,
    deliveries,
    diff,
    document,
    estimates,
    events,
    flavors,
    follow_ups,
    health,
    hf_credentials,
    hub_hooks,
    idempotency,
    keys,
    ledger,
    limits,
    logs,
    metrics,
    problems,
    queue,
    recipes,
    run_deliveries,
    runs,
    schedules,
    series,
    steering,
    strays,
    sweeps,
    team_secrets,
    teams,
    triggers,
    usage,
    users,
    webhooks,
)
from service.api.edge import Edge
from service.api.origins import open_to
from service.api.policy import EveryAnswer
from service.api.rates import RateLimits
from service.api.state import State
from service.doors import hf, openai
from service.web import (
    actions,
    automation,
    documentation,
    money,
    new_run,
    pages,
    run_diff,
    run_list,
    run_page,
    sign_in,
    sweep_page,
)
from service.web import queue as queue_page
from service.web.admin import endpoints, organisation, overview, records, team

DESCRIPTION = """A gate in front of Hugging Face Jobs: runs wait in a durable queue until their team's money and slots
allow them, are submitted exactly once, charged to the micro-dollar, verified on the Hub, and told of by webhooks."""

# One file of routes each, in the order in which the OpenAPI document has them.
RESOURCES = (
    runs,
    anew,
    follow_ups,
    events,
    ledger,
    run_deliveries,
    logs,
    series,
    callbacks,
    checkpoints,
    diff,
    estimates,
    queue,
    steering,
    schedules,
    triggers,
    hub_hooks,
    sweeps,
    teams,
    keys,
    users,
    audit,
    hf_credentials,
    team_secrets,
    limits,
    budgets,
    burn_down,
    usage,
    billing,
    strays,
    webhooks,
    deliveries,
    flavors,
    recipes,
    health,
    metrics,
)
OF_A_WORKER = (health, metrics)
# The same of pages for people.
PAGES = (
    sign_in,
    queue_page,
    run_list,
    run_page,
    run_diff,
    automation,
    sweep_page,
    money,
    new_run,
    overview,
    team,
    organisation,
    endpoints,
    records,
    actions,
)


def create_app(
    state: State,
    *,
    on_start: Callable[[], None] = lambda: None,
    on_stop: Callable[[], None],
    origins: Sequence[str] = (),
    is_worker: bool = False,
) -> FastAPI:
    """An application over an assembled state. `on_start` and `on_stop` frame its life; pages of these other `origins`
    may call it. That of a mere worker answers nothing but how it does."""
    app = FastAPI(
        title="Tunegate",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=_life(on_start, on_stop),
        redirect_slashes=False,
        openapi_url=None,  # api/document.py answers there
        docs_url=None,
        redoc_url=None,
    )
    app.state.tunegate = state
    _protect(app, origins)
    problems.install(app)
    idempotency.install(app)
    for module in OF_A_WORKER if is_worker else (*RESOURCES, *PAGES):
        # as they are: included ones FastAPI makes a second time, all of them before the first answer
        app.router.routes.extend(module.router.routes)
    document.install(app)
    if not is_worker:
        pages.install(app)
        documentation.install(app)
        openai.install(app)
        hf.install(app)
    return app


def _life(
    on_start: Callable[[], None], on_stop: Callable[[], None]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        on_start()
        yield
        on_stop()

    return lifespan


def _protect(app: FastAPI, origins: Sequence[str]) -> None:
    """What every request passes, from within outwards."""
    app.add_middleware(Edge)
    app.add_middleware(RateLimits)
    open_to(app, origins)
    app.add_middleware(EveryAnswer)
