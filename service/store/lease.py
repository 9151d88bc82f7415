"""The lease: one process at a time runs the steps on a shared database."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from service.store.tables import Lease


def hold(session: Session, name: str, holder: str, now: datetime, ttl: timedelta) -> int | None:
    """Take or renew a lease: its fence while it is ours, None while someone else's runs."""
    lease = session.get(Lease, name, with_for_update=True)
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
        lease.expires_at = now
        session.add(lease)
