"""Teams: made, held, and in the end archived. A team is never removed: its runs and its ledger stay."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, delete, exists, select

from service.domain.errors import TeamArchived
from service.domain.moment import iso
from service.store import changes, keys, schedules, topics, triggers, webhooks
from service.store.shared import once
from service.store.tables import (
    Delivery,
    Endpoint,
    Event,
    Run,
    Stray,
    Team,
    TeamCredential,
    TeamSecret,
    UploadedFile,
)

ARCHIVE = "archive"


def get(session: Session, name: str) -> Team | None:
    """One team."""
    return once(session, ("team", name), lambda reader: reader.get(Team, name))


def lock(session: Session, name: str) -> Team | None:
    """One team as it stands now, held until the transaction ends."""
    return session.get(Team, name, with_for_update=True, populate_existing=True)


def every(session: Session) -> list[Team]:
    """All teams by name."""
    return list(session.exec(select(Team).order_by(col(Team.name))))


def insert(session: Session, name: str, now: datetime) -> Team | None:
    """A new team, or None where the name is taken."""
    if get(session, name) is not None:
        return None
    team = Team(name=name, created_at=now)
    session.add(team)
    return team


def refuse_archived(team: Team | None, *, once_closed: bool = False) -> None:
    """Raise TeamArchived for a team that takes no more runs and makes no more keys; `once_closed`: only where its last
    run has ended, too, as what runs still may need what is asked for."""
    since = None if team is None else team.archived_at if once_closed else team.archiving_at
    if team is not None and since is not None:
        raise TeamArchived(
            f"team {team.name} is archived: it takes nothing new", remedy=f"POST /teams/{team.name}/unarchive opens it."
        )


def archive(session: Session, team: Team, by: str, now: datetime, stop: bool) -> None:
    """Let a team that the caller holds take no more runs, or (`stop` False) take them again. The keys that were revoked
    when it was closed stay revoked."""
    before = state_json(team)
    if stop:
        team.archiving_at = team.archiving_at or now
        team.archived_by = team.archived_by or by
    else:
        team.archiving_at = team.archived_at = team.archived_by = None
    changes.tell(session, team, "team.archiving" if stop else "team.unarchived", by, before, state_json(team), now)


def to_close(session: Session) -> list[str]:
    """Teams that take no more runs, have none under way and nothing left to be told, and are still open to their
    keys."""
    has_live = exists().where(col(Run.team) == Team.name, col(Run.finished_at).is_(None))
    is_told = (
        exists()
        .where(col(Delivery.endpoint_id) == Endpoint.id, col(Endpoint.team) == Team.name)
        .where(col(Delivery.state) == "pending", col(Endpoint.disabled_at).is_(None))
    )
    is_to_be_told = exists().where(col(Event.team) == Team.name, col(Event.position).is_(None))
    waiting = col(Team.archiving_at).is_not(None) & col(Team.archived_at).is_(None)
    query = select(Team.name).where(waiting, ~has_live, ~is_told, ~is_to_be_told)
    return list(session.exec(query.order_by(col(Team.name))))


def close(session: Session, name: str, now: datetime) -> bool:
    """End a team's keys and endpoints and wipe its named secrets; False where it has been opened again, or has a run
    under way, meanwhile."""
    team = lock(session, name)
    if team is None or name not in to_close(session):
        return False
    before, team.archived_at = state_json(team), now
    topics.tell(session, topics.entry(name))
    keys.revoke_all(session, name, ARCHIVE, now)
    changes.tell(session, team, "team.archived", team.archived_by or ARCHIVE, before, state_json(team), now)
    is_open = (col(Endpoint.team) == name) & col(Endpoint.disabled_at).is_(None)
    for endpoint in session.exec(select(Endpoint).where(is_open).with_for_update()):
        webhooks.hold(session, endpoint, "the team is archived", now)
    session.exec(delete(TeamSecret).where(col(TeamSecret.team) == name))
    schedules.end_all(session, name, now)
    triggers.end_all(session, name, now)
    return True


def with_idle_tokens(session: Session) -> list[TeamCredential]:
    """Archived teams' own tokens of Hugging Face, once no bucket, no stray job and no uploaded file is
    left to be done with."""
    has_bucket = exists().where(col(Run.credentials) == TeamCredential.team, col(Run.bucket).is_not(None))
    has_stray = exists().where(col(Stray.credentials) == TeamCredential.team, col(Stray.ended_at).is_(None))
    is_left = col(UploadedFile.due_at).is_not(None) | col(UploadedFile.expires_at).is_not(None)
    is_owned = (col(UploadedFile.credentials) == TeamCredential.team) & col(UploadedFile.gone_at).is_(None)
    has_file = exists().where(is_owned, is_left)
    is_archived = exists().where(col(Team.name) == TeamCredential.team, col(Team.archived_at).is_not(None))
    return list(session.exec(select(TeamCredential).where(is_archived, ~has_bucket, ~has_stray, ~has_file)))


def forget_tokens(session: Session) -> int:
    """Wipe those; of how many teams."""
    idle = with_idle_tokens(session)
    for row in idle:
        session.delete(row)
    return len(idle)


def is_closed(session: Session, name: str) -> bool:
    """Whether a team is archived: nobody comes in for it, neither by a key nor by a session."""
    return session.get_one(Team, name).archived_at is not None


def state_json(team: Team) -> dict[str, str | None]:
    """Whether a team is open, is being archived or is archived, since when, and by whom."""
    state = "archived" if team.archived_at else "archiving" if team.archiving_at else "open"
    since = team.archived_at or team.archiving_at
    return {"state": state, "since": None if since is None else iso(since), "by": team.archived_by}
