"""Every table. Money is integer micro-USD, times are aware UTC, JSON columns hold plain values.

`table=True` models validate nothing: what comes from outside is validated by the wire models before it gets here.
"""

from service.store.tables.attempts import Attempt
from service.store.tables.audit import AuditEntry
from service.store.tables.facts import HubFact
from service.store.tables.files import FilePair, FilePiece, FineTuningJob, UploadedFile
from service.store.tables.logs import LogChunk, MetricPoint, Report
from service.store.tables.money import BillingReading, Budget, BudgetWindow, Flavor, LedgerEntry, ReservationWindow
from service.store.tables.news import Delivery, Endpoint, Event, Lease
from service.store.tables.origins import Origin, Schedule, Trigger
from service.store.tables.owners import ApiKey, Installation, Organisation, Team, User
from service.store.tables.secrets import TeamCredential, TeamSecret
from service.store.tables.sessions import SignIn
from service.store.tables.strays import Stray
from service.store.tables.sweeps import Sweep, SweepPoint
from service.store.tables.work import Dependency, IdempotencyKey, Lane, Run, SearchTerm

__all__ = [
    "ApiKey",
    "Attempt",
    "AuditEntry",
    "BillingReading",
    "Budget",
    "BudgetWindow",
    "Delivery",
    "Dependency",
    "Endpoint",
    "Event",
    "FilePair",
    "FilePiece",
    "FineTuningJob",
    "Flavor",
    "HubFact",
    "IdempotencyKey",
    "Installation",
    "Lane",
    "Lease",
    "LedgerEntry",
    "LogChunk",
    "MetricPoint",
    "Organisation",
    "Origin",
    "Report",
    "ReservationWindow",
    "Run",
    "Schedule",
    "SearchTerm",
    "SignIn",
    "Stray",
    "Sweep",
    "SweepPoint",
    "Team",
    "TeamCredential",
    "TeamSecret",
    "Trigger",
    "UploadedFile",
    "User",
]
