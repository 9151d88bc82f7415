"""Logs of jobs: lines in compressed chunks, numbered from 0 in the order in which the job wrote them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func
from sqlmodel import Session, col, select

from service.domain.log_line import LogLine
from service.store import topics
from service.store.batches import AT_ONCE
from service.store.tables import Attempt, LogChunk

# A chunk that is being written grows to this; unpacked, it is what reading one line costs at most.
CHUNK_BYTES = 64 * 1024
CHUNKS_AT_ONCE = 8
# Of a log that is too long, the beginning is kept (versions, settings), and the end (what went wrong).
HEAD_SHARE = 0.25

Numbered = tuple[int, LogLine]


@dataclass(frozen=True)
class Wanted:
    """Which lines: from a number on, written since a moment, holding a text, the last so many of them, or the first."""

    from_line: int = 0
    since: datetime | None = None
    contains: str | None = None
    tail: int | None = None
    limit: int | None = None

    def takes(self, line: LogLine) -> bool:
        """Whether a line is one of them, its number aside."""
        if self.since is not None and (line.at is None or line.at < self.since):
            return False
        return self.contains is None or self.contains.lower() in line.text.lower()


def append(
    session: Session, attempt: Attempt, base: int, lines: Sequence[LogLine], now: datetime, most_bytes: int
) -> bool:
    """Add what follows after the first `base` lines. False, and nothing is done, where others are there already."""
    if attempt.log_lines != base or not lines:
        return False
    last = _last_chunk(session, attempt)
    if last is not None and last.byte_count < CHUNK_BYTES and last.first_line + last.line_count == base:
        held, first = _unpack(last.lines), last.first_line
        attempt.log_bytes -= last.byte_count
        session.delete(last)
        session.flush()
    else:
        held, first = [], base
    for piece in _pieces([*held, *lines]):
        chunk = _chunk(attempt, first, piece, now)
        session.add(chunk)
        first += len(piece)
        attempt.log_bytes += chunk.byte_count
    attempt.log_lines = base + len(lines)
    attempt.log_state = attempt.log_state or "partial"
    session.add(attempt)
    session.flush()
    topics.tell(session, attempt.run_id)
    _make_room(session, attempt, most_bytes)
    return True


def last_line(session: Session, attempt: Attempt) -> LogLine | None:
    """The last line that is kept."""
    chunk = _last_chunk(session, attempt)
    return None if chunk is None else _unpack(chunk.lines)[-1]


def read(session: Session, run_id: str, attempt: int, wanted: Wanted) -> list[Numbered]:
    """The wanted lines, in order."""
    found: list[Numbered] = []
    for chunk in _chunks(session, run_id, attempt, wanted):
        some = [one for one in _numbered(chunk) if one[0] >= wanted.from_line and wanted.takes(one[1])]
        found = [*some, *found] if wanted.tail is not None else [*found, *some]
        if wanted.tail is not None and len(found) >= wanted.tail:
            return found[-wanted.tail :]
        if wanted.limit is not None and wanted.tail is None and len(found) >= wanted.limit:
            return found[: wanted.limit]
    return found


def size(session: Session, run_id: str, attempt: int) -> int:
    """Bytes of what is kept, unpacked."""
    return session.exec(select(func.sum(LogChunk.byte_count)).where(*_of(run_id, attempt))).one() or 0


def drop_old(session: Session, before: datetime, most_bytes: int) -> int:
    """Let logs of ended jobs go, the oldest first: those that ended before a moment, and more until all logs together
    take no more than so many bytes. How many went."""
    total = session.exec(select(func.sum(Attempt.log_bytes)).where(Attempt.log_bytes > 0)).one() or 0
    gone = 0
    for attempt in session.exec(
        select(Attempt)
        .where(col(Attempt.finished_at).is_not(None), Attempt.log_bytes > 0)
        .order_by(col(Attempt.finished_at))
        .limit(AT_ONCE)
    ).all():
        assert attempt.finished_at is not None
        if attempt.finished_at >= before and total <= most_bytes:
            break
        session.execute(delete(LogChunk).where(*_of(attempt.run_id, attempt.attempt)))
        total -= attempt.log_bytes
        attempt.log_bytes, attempt.log_state = 0, "dropped"
        session.add(attempt)
        gone += 1
    return gone


def _of(run_id: str, attempt: int) -> tuple[ColumnElement[bool], ...]:
    return col(LogChunk.run_id) == run_id, col(LogChunk.attempt) == attempt


def _last_chunk(session: Session, attempt: Attempt) -> LogChunk | None:
    query = select(LogChunk).where(*_of(attempt.run_id, attempt.attempt))
    return session.exec(query.order_by(col(LogChunk.first_line).desc()).limit(1)).first()


def _chunks(session: Session, run_id: str, attempt: int, wanted: Wanted) -> Iterator[LogChunk]:
    """A few at a time: a log may be larger than what one wants to hold, and a reader may leave early."""
    query = select(LogChunk).where(*_of(run_id, attempt))
    query = query.where(col(LogChunk.first_line) + LogChunk.line_count > wanted.from_line)
    if wanted.since is not None:
        query = query.where(col(LogChunk.until) >= wanted.since)
    backward = wanted.tail is not None
    query = query.order_by(col(LogChunk.first_line).desc() if backward else col(LogChunk.first_line))
    last: int | None = None
    while True:
        following = query
        if last is not None:
            following = query.where(LogChunk.first_line < last if backward else LogChunk.first_line > last)
        few = session.exec(following.limit(CHUNKS_AT_ONCE)).all()
        yield from few
        if len(few) < CHUNKS_AT_ONCE:
            return
        last = few[-1].first_line


def _make_room(session: Session, attempt: Attempt, most_bytes: int) -> None:
    """Of a log that has grown too long, chunks in its middle go."""
    if attempt.log_bytes <= most_bytes:
        return
    sizes = session.exec(
        select(LogChunk.first_line, LogChunk.byte_count)
        .where(*_of(attempt.run_id, attempt.attempt))
        .order_by(col(LogChunk.first_line))
    ).all()
    head = 0
    for first_line, size in sizes[:-1]:  # the last chunk always stays
        if head + size <= HEAD_SHARE * most_bytes:
            head += size
            continue
        if attempt.log_bytes <= most_bytes:
            break
        session.execute(
            delete(LogChunk).where(*_of(attempt.run_id, attempt.attempt), col(LogChunk.first_line) == first_line)
        )
        attempt.log_bytes -= size
        attempt.log_state = "shortened"
    session.add(attempt)


def _chunk(attempt: Attempt, first_line: int, lines: Sequence[LogLine], now: datetime) -> LogChunk:
    text = "\n".join(json.dumps([line.timestamp, line.text]) for line in lines).encode()
    times = [line.at for line in lines if line.at is not None]
    return LogChunk(
        run_id=attempt.run_id,
        attempt=attempt.attempt,
        first_line=first_line,
        line_count=len(lines),
        byte_count=len(text),
        until=max(times, default=now),
        lines=gzip.compress(text, 6, mtime=0),
    )


def _numbered(chunk: LogChunk) -> list[Numbered]:
    return list(enumerate(_unpack(chunk.lines), chunk.first_line))


def _unpack(lines: bytes) -> list[LogLine]:
    return [LogLine(*json.loads(line)) for line in gzip.decompress(lines).splitlines()]


def _pieces(lines: Sequence[LogLine]) -> Iterator[list[LogLine]]:
    """The lines in portions of about a chunk's size."""
    piece: list[LogLine] = []
    size = 0
    for line in lines:
        piece.append(line)
        size += len(line.text) + len(line.timestamp)
        if size >= CHUNK_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
