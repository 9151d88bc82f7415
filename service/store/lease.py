"""The lease: one process at a time runs the steps on a shared database."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, select

from service.store.tables import Lease


class LeadLost(Exception):
    """Another process leads, or nobody does: what was about to be written is dropped."""


def verify(session: Session, name: str, fence: int | None, now: datetime) -> None:
    """Raise LeadLost unless the lease is still the one of this fence. Held until the transaction ends, so that nobody
    takes it over in between."""
    lease = session.get(Lease, name, with_for_update={"read": True})
    if lease is None or lease.fence != fence or lease.expires_at <= _clock_of(session, now):
        raise LeadLost(f"the lease '{name}' is no longer held under fence {fence}")


def _clock_of(session: Session, now: datetime) -> datetime:
    """The time by the one clock that all processes share: PostgreSQL's; on SQLite there is only one machine."""
    if session.get_bind().dialect.name != "postgresql":
        return now
    shared: datetime = session.exec(select(func.clock_timestamp())).one()
    return shared


def hold(session: Session, name: str, holder: str, now: datetime, ttl: timedelta) -> int | None:
    """Take or renew a lease: its fence while it is ours, None while someone else's runs. Whoever only waits for it
    locks nothing, and may ask often."""
    lease = session.get(Lease, name)
    if lease is not None and lease.holder != holder and lease.expires_at > _clock_of(session, now):
        return None
    lease = session.get(Lease, name, with_for_update=True, populate_existing=True)
    now = _clock_of(session, now)
    if lease is None:
        lease = Lease(name=name, holder=holder, fence=1, expires_at=now + ttl)
    elif lease.holder == holder:
        lease.expires_at = now + ttl
    elif lease.expires_at <= now:
        lease.holder, lease.fence, lease.expires_at = holder, lease.fence + 1, now + ttl
    else:
        return None
    session.add(lease)
    session.flush()
    return lease.fence


def give_up(session: Session, name: str, holder: str, now: datetime) -> None:
    """Let the next one in at once; nothing happens where the lease is not ours."""
    lease = session.get(Lease, name, with_for_update=True)
    if lease is not None and lease.holder == holder:
        lease.expires_at = _clock_of(session, now)
        session.add(lease)
