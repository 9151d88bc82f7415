"""What every step works with, handed down by `app` and `worker`: nothing below them reads settings or the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from sqlmodel import Session

from service.domain.image import DEFAULT_ALLOWED
from service.domain.stray import Policy
from service.hub.client import HubClient
from service.hub.follower import Followers
from service.store import organisation
from service.store.db import Database
from service.store.vault import Vault

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """The installation's own limits."""

    max_concurrent_runs: int = 20
    listing_lag: timedelta = timedelta(seconds=120)
    create_timeout: timedelta = timedelta(seconds=30)
    stray_policy: Policy = Policy.REPORT
    max_scheduling: timedelta = timedelta(hours=6)
    allow_broad_job_token: bool = False
    webhook_allowed_targets: tuple[str, ...] = ()
    script_allowed_targets: tuple[str, ...] = ()
    image_allowlist: tuple[str, ...] = DEFAULT_ALLOWED
    # of one attempt's log, unpacked; of all logs together; and for how long they are kept
    log_bytes: int = 64 * 2**20
    all_logs_bytes: int = 20 * 2**30
    log_age: timedelta = timedelta(days=90)
    # how long the checkpoints of runs that did not succeed are kept
    checkpoint_age: timedelta = timedelta(days=7)


@dataclass
class Start:
    """Namespaces that the sweep has yet to look at since this process started; None: it has not begun."""

    unswept: set[str] | None = None

    def lets(self, namespace: str) -> bool:
        """Whether a job may be made there: what a restored backup forgot has been looked for."""
        return self.unswept is not None and namespace not in self.unswept


@dataclass(frozen=True)
class Gate:
    """One installation. `boot` names this start of the process: a create call made under another boot is unclear."""

    db: Database
    hub: HubClient
    vault: Vault
    limits: Limits
    installation: str
    boot: str
    clock: Callable[[], datetime]
    # Seconds that no step of the wall clock can stretch: proofs of absence rest on them as well.
    monotonic: Callable[[], float]
    # Since when this process knows of a submission's open call, by `monotonic`.
    open_since: dict[str, float] = field(default_factory=dict)
    # Since when it looks in vain for a submission's job that Hugging Face said it had made, by `monotonic`.
    unseen_since: dict[str, float] = field(default_factory=dict)
    # The installation's own namespace; None where each run names one.
    namespace: str | None = None
    # Where jobs reach this service; None where they do not.
    public_url: str | None = None
    start: Start = field(default_factory=Start)
    # Follows the logs of running jobs; None where they are polled.
    followers: Followers | None = None
    # Raises where another process leads by now: a step that slept must not write over its successor's work.
    verify_lead: Callable[[Session], None] = lambda _session: None

    def write(self, work: Callable[[Session], T]) -> T:
        """What a step applies: `work` in one durable transaction, in which this process still leads. The organisation's
        row is held from the start: nobody who changes money or many runs can have taken what the work takes in another
        order. Raises what the work raises, LeadLost, and Busy."""

        def led(session: Session) -> T:
            self.verify_lead(session)
            organisation.lock(session)
            return work(session)

        return self.db.write(led)
