"""Puts one process together from its settings: database, Hugging Face client, steps, application."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI
from pydantic import SecretStr

from service.api.rates import Rates
from service.api.state import State
from service.api.streams import OpenStreams
from service.app import create_app
from service.domain.grants import read_grant
from service.domain.stray import Policy
from service.flow.gate import Gate, Limits
from service.hub.client import HubClient
from service.hub.follower import Followers
from service.hub.governor import Governor
from service.leader import FileLeader, Leader, LeaseLeader
from service.meters import HubCalls, Meters
from service.migrate import migrate
from service.settings import Settings
from service.store import home
from service.store.db import Database
from service.worker import Worker

if TYPE_CHECKING:  # loaded by those who trust an issuer
    from service.api.issuer import Issuer

# Of one step: enough to wait for several answers at once, few enough to leave connections to the others.
RUNS_AT_A_TIME = 8


class Misconfigured(Exception):
    """A setting that is missing; the message says which."""


@dataclass(frozen=True)
class Assembly:
    """The parts of one process. `stop_steps` hands the lead over before the application ends."""

    gate: Gate
    leader: Leader
    worker: Worker
    app: FastAPI
    stop_steps: Callable[[], None]


def now() -> datetime:
    """The clock of a real process."""
    return datetime.now(UTC)


def hub_client(settings: Settings) -> HubClient:
    """The client of Hugging Face with the service's own tokens. Raises Misconfigured."""
    if settings.hf_token is None or settings.job_hf_token is None:
        raise Misconfigured(
            "TUNEGATE_HF_TOKEN (starts jobs) and TUNEGATE_JOB_HF_TOKEN (what jobs get: rights on repositories only) "
            "must be set"
        )
    if settings.hf_token == settings.job_hf_token:
        raise Misconfigured("TUNEGATE_JOB_HF_TOKEN is the control token, which never enters a job: give jobs their own")
    return HubClient(
        settings.hf_endpoint,
        settings.hf_token.get_secret_value(),
        settings.job_hf_token.get_secret_value(),
        clock=now,
        timeout_seconds=settings.hub_timeout_seconds,
        datasets_server=settings.viewer,
    )


def open_gate(settings: Settings) -> Gate:
    """Migrate and open the database, and make what every step works with. Raises Misconfigured or ForeignDatabase
    (WrongKey among them)."""
    hub = hub_client(settings)
    migrate(settings.database_url)
    db = Database(settings.database_url)
    try:
        installation, vault = db.write(partial(home.move_in, home=home_of(settings), now=now()))
    except BaseException:
        db.close()
        hub.close()
        raise
    return Gate(
        db=db,
        hub=hub,
        vault=vault,
        limits=_limits(settings),
        installation=installation,
        boot=uuid.uuid4().hex,
        clock=now,
        monotonic=time.monotonic,
        namespace=settings.hf_namespace,
        public_url=settings.public_url,
    )


def assemble(settings: Settings) -> Assembly:
    """Everything for `serve`. The worker starts and stops with the application, unless the role is `api`. Raises
    AlreadyRunning where another process runs the steps on this SQLite file."""
    gate = open_gate(settings)
    leader = leader_for(settings, gate)
    followers = Followers(lambda job: gate.hub_of(job.credentials).streams, settings.log_followers)
    meters = Meters(HubCalls(lambda: gate.hub.calls, partial(_governors, gate), now))
    led = replace(gate, verify_lead=leader.verify, followers=followers, width=RUNS_AT_A_TIME, ears=meters.ears)
    worker = Worker(led, leader, settings.poll_seconds, settings.sweep_seconds, meters.passed)
    runs_steps = settings.role != "api"
    state = State(
        gate=led,
        admin_key=_value(settings.admin_key) or home.kept_secret(settings.home, "admin.key"),
        namespace=settings.hf_namespace,
        ages=worker.ages,
        is_leading=leader.is_leading,
        issuer=_issuer(settings),
        session_lasts=timedelta(hours=settings.session_hours),
        streams=OpenStreams(settings.max_streams),
        rates=Rates(settings.rate_limit),
        meters=meters.registry,
    )
    gate.db.news.hear(state.streams.bells.ring)
    if runs_steps:
        gate.db.news.hear(worker.hear)
    gate.db.news.listen()

    def stop_steps() -> None:
        if runs_steps:
            worker.stop()

    def stop() -> None:
        stop_steps()
        gate.db.close()
        gate.hub.close()

    app = create_app(
        state,
        on_start=worker.start if runs_steps else lambda: None,
        on_stop=stop,
        origins=settings.cors_origins,
        is_worker=settings.role == "worker",
    )
    if runs_steps:
        leader.start()
    return Assembly(led, leader, worker, app, stop_steps)


def _governors(gate: Gate) -> dict[str, Governor]:
    """By team; "" has the service's own tokens."""
    return {"": gate.hub.governor, **{team: hub.governor for team, (_, hub) in list(gate.team_hubs.by_team.items())}}


def home_of(settings: Settings) -> home.Home:
    """What this process knows its database by."""
    return home.Home(settings.home, settings.installation, _value(settings.secret_key))


def leader_for(settings: Settings, gate: Gate) -> Leader:
    """A lock on a file for SQLite, a lease row for PostgreSQL."""
    return FileLeader(settings.home) if settings.is_sqlite else LeaseLeader(gate.db, gate.boot, gate.clock)


def _issuer(settings: Settings) -> Issuer | None:
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    from service.api.issuer import Issuer, Terms

    return Issuer(
        Terms(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=_value(settings.oidc_client_secret),
            audiences=settings.oidc_audiences or (settings.oidc_client_id,),
            user_claim=settings.oidc_user_claim,
            claim=settings.oidc_claim,
            scope=settings.oidc_scope,
            grants=tuple(map(read_grant, settings.oidc_grants)),
        ),
        now,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_concurrent_runs=settings.max_concurrent_runs,
        listing_lag=timedelta(seconds=settings.listing_lag_seconds),
        create_timeout=timedelta(seconds=settings.hub_timeout_seconds),
        stray_policy=Policy(settings.stray_policy),
        max_scheduling=timedelta(seconds=settings.max_scheduling_seconds),
        allow_broad_job_token=settings.allow_broad_job_token,
        webhook_allowed_targets=settings.webhook_allowed_targets,
        mail=settings.mail,
        script_allowed_targets=settings.script_allowed_targets,
        image_allowlist=settings.image_allowlist,
        log_bytes=round(settings.log_mib * 2**20),
        all_logs_bytes=round(settings.logs_gib * 2**30),
        log_age=timedelta(days=settings.log_days),
        checkpoint_age=timedelta(days=settings.checkpoint_days),
        file_bytes=round(settings.file_mib * 2**20),
        job_timeout=timedelta(seconds=settings.job_timeout_seconds),
    )


def _value(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
