"""What every step works with, handed down by `app` and `worker`: nothing below them reads settings or the clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from cryptography.fernet import InvalidToken
from sqlmodel import Session

from service.domain.image import DEFAULT_ALLOWED
from service.domain.mail_server import MailServer
from service.domain.place import Place
from service.domain.stray import Policy
from service.flow.lookups import Lookups
from service.hub.client import HubClient
from service.hub.faults import HubUnavailable
from service.hub.follower import Followers
from service.store import credentials as store
from service.store import organisation
from service.store.db import Database
from service.store.tables import TeamCredential
from service.store.vault import Vault

T = TypeVar("T")
Item = TypeVar("Item")


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
    # by which e-mails go; None: there are none
    mail: MailServer | None = None
    script_allowed_targets: tuple[str, ...] = ()
    image_allowlist: tuple[str, ...] = DEFAULT_ALLOWED
    # of one attempt's log, unpacked; of all logs together; and for how long they are kept
    log_bytes: int = 64 * 2**20
    all_logs_bytes: int = 20 * 2**30
    log_age: timedelta = timedelta(days=90)
    # how long the checkpoints of runs that did not succeed are kept
    checkpoint_age: timedelta = timedelta(days=7)
    # of one uploaded training file; and the timeout of a fine-tuning job that comes without any bound
    file_bytes: int = 100 * 2**20
    job_timeout: timedelta = timedelta(hours=2)


@dataclass(frozen=True)
class Ears:
    """Who hears of what steps do, to count it: `service/meters.py` in a service, nobody elsewhere. Each is told after
    the change is durable."""

    # A job was made, so many seconds after its run's admission.
    submitted: Callable[[float], None] = lambda _seconds: None
    # A run was admitted, refused or held, or told of another reason why it waits: what was decided, and the reason.
    decided: Callable[[str, str], None] = lambda _outcome, _reason: None
    # A letter was tried: of which kind, whether it arrived, and how many seconds after what it tells of.
    tried: Callable[[str, bool, float], None] = lambda _kind, _has_arrived, _seconds: None


@dataclass
class Start:
    """Since this process started: places that the sweep has yet to look at (None: it has not begun), and when the
    service's own tokens were last looked at."""

    unswept: set[Place] | None = None
    tokens_seen_at: datetime | None = None

    def lets(self, place: Place) -> bool:
        """Whether a job may be made there: what a restored backup forgot has been looked for."""
        return self.unswept is not None and place not in self.unswept


@dataclass
class TeamHubs:
    """Clients with teams' own tokens, made when they are first asked for: those of a version of the credentials."""

    by_team: dict[str, tuple[str, HubClient]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Gate:
    """One installation. `boot` names this start of the process: a create call made under another boot is unclear. `hub`
    has the service's own tokens; whatever belongs to a run or a team is asked by `hub_of`."""

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
    # How the names of addresses that callers chose are looked up.
    lookups: Lookups = field(default_factory=Lookups)
    # Follows the logs of running jobs; None where they are polled.
    followers: Followers | None = None
    # How many runs a step sees to at a time; one after the other where nothing else is said.
    width: int = 1
    ears: Ears = field(default_factory=Ears)
    # Raises where another process leads by now: a step that slept must not write over its successor's work.
    verify_lead: Callable[[Session], None] = lambda _session: None

    # Set when this process is about to end.
    stopping: threading.Event = field(default_factory=threading.Event)
    # Its clients with teams' own tokens.
    team_hubs: TeamHubs = field(default_factory=TeamHubs)

    def hub_of(self, credentials: str | None) -> HubClient:
        """The client with a team's own tokens as they are in the database now, or the service's (None). Raises
        HubUnavailable where the team has none any more, or they cannot be opened here."""
        if credentials is None:
            return self.hub
        with self.db.read() as session:
            row = store.get(session, credentials)
        if row is None:
            raise HubUnavailable(f"team {credentials} has no tokens of its own any more")
        with self.team_hubs.lock:
            version, hub = self.team_hubs.by_team.get(credentials, (None, self.hub))
            if version != row.version:
                hub = self.hub.with_tokens(**self._tokens(row))
                self.team_hubs.by_team[credentials] = row.version, hub
        return hub

    def _tokens(self, row: TeamCredential) -> dict[str, str]:
        try:
            return self.vault.open(row.sealed_tokens)
        except InvalidToken:
            raise HubUnavailable(f"the tokens of team {row.team} cannot be opened with the secret key here") from None

    def write(self, work: Callable[[Session], T]) -> T:
        """What a step applies: `work` in one durable transaction, in which this process still leads. The organisation's
        row is held from the start: nobody who changes money or many runs can have taken what the work takes in another
        order. Raises what the work raises, LeadLost, and Busy."""

        def led(session: Session) -> T:
            self.verify_lead(session)
            organisation.take_turn(session)
            return work(session)

        return self.db.write(led)


def pollable(gate: Gate, items: Iterable[Item], credentials: Callable[[Item], str | None]) -> list[Item]:
    """Of these those whose tokens have calls to spare: the rest of a rate-limit window is kept for submissions and
    cancels. Those whose tokens are gone are left out too."""
    may: dict[str | None, bool] = {}

    def is_free(whose: str | None) -> bool:
        try:
            return gate.hub_of(whose).governor.may_poll(gate.clock())
        except HubUnavailable:
            return False

    found = []
    for item in items:
        whose = credentials(item)
        if whose not in may:
            may[whose] = is_free(whose)
        if may[whose]:
            found.append(item)
    return found
