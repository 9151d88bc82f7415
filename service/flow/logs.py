"""logs: what running jobs say is taken in: their lines are kept, and step, loss and ETA are read from them.

Jobs are followed, each over a connection of its own (`hub.follower`); what has come is stored here, once. Jobs that
are not followed, as there are more than the cap or nobody follows, are polled, a few at a time. Either way lines are
counted, and what is stored says where to go on: after a cut, a restart, or in another process.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlmodel import Session

from service.domain import mask
from service.domain.log_line import LogLine
from service.domain.log_resume import Resume
from service.domain.progress import Reader
from service.domain.run import RunState
from service.flow import callback
from service.flow.each import each
from service.flow.gate import Gate, pollable
from service.flow.masking import masked, secret_values
from service.flow.progress import hints_of, note
from service.hub.faults import HubFault
from service.hub.follower import JobLog, Start
from service.hub.streams import Streams, Until
from service.store import jobs, logs, reports, runs
from service.store.tables import Attempt, Run

log = structlog.get_logger()

# One pass polls the few jobs that were looked at longest ago, each for a moment only.
POLLED_PER_PASS = 4
SILENCE_SECONDS = 1.5
MAX_SECONDS = 10.0
# Of an ended job's log: more than this at once is not read, but for its end.
MOST_LINES, TAIL = 300_000, 20_000


@dataclass(frozen=True)
class News:
    """New lines of a job's log, masked, and what follows from them."""

    run_id: str
    submission: str
    base: int
    lines: Sequence[LogLine]
    reader: Reader
    reading: Mapping[str, Any] | None  # what the reader went on from


def run_once(gate: Gate) -> int:
    """Store what running jobs have said since the last pass; how many said something."""
    with gate.db.read() as session:
        running = {JobLog(one.namespace, one.hub_job_id, one.credentials): one for one in jobs.logged(session)}
        have_reported = reports.reporting(session)
    if gate.followers is not None:
        gate.followers.follow(running, partial(_start, gate, running))
    polled = _to_poll(gate, [one for job, one in running.items() if not _is_followed(gate, job)])
    telling = [one.run_id for job, one in running.items() if gate.followers is not None and gate.followers.said(job)]
    # of thousands that run, the few that something is done about
    pairs = _pairs(gate, {*telling, *polled, *(run_id for run_id, _ in have_reported)})
    reporting = [attempt for _, attempt in pairs.values() if (attempt.run_id, attempt.attempt) in have_reported]
    by_job = {job_log(*pairs[one.run_id]): pairs[one.run_id] for one in running.values() if one.run_id in pairs}
    found = [_fetched(gate, job, *pair) for job, pair in by_job.items()]
    found += [each("logs", run_id, partial(_poll, gate, *pairs[run_id])) for run_id in polled if run_id in pairs]
    news = [one for one in found if one is not None]
    if not news and not reporting:
        return 0
    work = partial(_store, news=news, reporting=reporting, most_bytes=gate.limits.log_bytes, now=gate.clock())
    stored, reported = gate.write(work)
    for job, (_, attempt) in by_job.items():
        if attempt.submission not in stored and any(one.submission == attempt.submission for one in news):
            _leave(gate, job)  # somebody else stored other lines: it is begun anew from there
    return len(stored | reported)


def rest_of_log(gate: Gate, run: Run, attempt: Attempt) -> tuple[News, bool]:
    """What an ended job has said since its log was last stored, and whether that is all of it. Raises HubFault."""
    job, secrets, resume = job_log(run, attempt), secret_values(gate, run), resume_of(gate, run, attempt)
    streams = gate.hub_of(job.credentials).streams
    read, until = _read_to_end(streams, job)
    lines = resume.new(read) + resume.at_end()
    if until is Until.LIMIT:  # far too long: its end is worth more than its middle
        last, (tail, _) = lines[-1:], streams.log(job.namespace, job.job_id, tail=TAIL)
        lines += [line for line in tail if not last or (line.at and last[0].at and line.at > last[0].at)]
    return _news(run, attempt, lines, secrets), until is Until.END


def _read_to_end(streams: Streams, job: JobLog) -> tuple[list[LogLine], Until]:
    """A silence is no end: a connection may be dead without a word. Where it is there again after as many lines,
    nothing more is coming."""
    read, until = streams.log(job.namespace, job.job_id, most_lines=MOST_LINES)
    if until is not Until.SILENCE:
        return read, until
    again, until = streams.log(job.namespace, job.job_id, most_lines=MOST_LINES)
    is_all = until is Until.SILENCE and len(again) == len(read)
    return max(read, again, key=len), Until.END if is_all else until


def finish(
    session: Session, run: Run, attempt: Attempt, news: News, is_whole: bool, most_bytes: int, now: datetime
) -> None:
    """Store the rest of an ended job's log. What a pass of the step has stored meanwhile is not stored twice."""
    lines, reader = news.lines, news.reader
    callback.take_in(session, run, attempt)
    if attempt.log_lines != news.base or attempt.reading != news.reading:
        lines, reader = lines[attempt.log_lines - news.base :], Reader.from_json(attempt.reading, hints_of(run))
        reader.read(lines)
    if logs.append(session, attempt, attempt.log_lines, lines, now, most_bytes):
        note(session, run, attempt, reader)
    if is_whole and attempt.log_state != "shortened":
        attempt.log_state = "whole"
    session.add(attempt)


def nothing_new(attempt: Attempt) -> News:
    """Of a log that could not be read any more."""
    return News(attempt.run_id, attempt.submission, attempt.log_lines, [], Reader(), attempt.reading)


def job_log(run: Run, attempt: Attempt) -> JobLog:
    """Whose log it is."""
    assert attempt.hub_job_id is not None
    return JobLog(run.namespace, attempt.hub_job_id, run.credentials)


def resume_of(gate: Gate, run: Run, attempt: Attempt) -> Resume:
    """What is stored already, against which a log is read."""
    start = _start_of(gate, run, attempt)
    return Resume(start.known, start.last, start.kept)


def _pairs(gate: Gate, run_ids: Collection[str]) -> dict[str, tuple[Run, Attempt]]:
    with gate.db.read() as session:
        found = jobs.with_attempts(session, run_ids)
    return {run.id: (run, attempt) for run, attempt in found if run.state == RunState.RUNNING and attempt.hub_job_id}


def _start(gate: Gate, running: Mapping[JobLog, jobs.Logged], job: JobLog) -> Start | None:
    """None where the job has ended meanwhile."""
    pair = _pairs(gate, [running[job].run_id]).get(running[job].run_id)
    return None if pair is None else _start_of(gate, *pair)


def _start_of(gate: Gate, run: Run, attempt: Attempt) -> Start:
    secrets = secret_values(gate, run)
    with gate.db.read() as session:
        last = logs.last_line(session, attempt)
    return Start(attempt.log_lines, last, lambda line: masked([line], secrets)[0])


def _is_followed(gate: Gate, job: JobLog) -> bool:
    return gate.followers is not None and gate.followers.has(job)


def _leave(gate: Gate, job: JobLog) -> None:
    if gate.followers is not None:
        gate.followers.leave(job)


def _fetched(gate: Gate, job: JobLog, run: Run, attempt: Attempt) -> News | None:
    if gate.followers is None or not (lines := gate.followers.fetch(job)):
        return None
    secrets = secret_values(gate, run)
    whole = _without_an_open_end(lines, secrets)
    gate.followers.put_back(job, lines[len(whole) :])
    return _news(run, attempt, whole, secrets) if whole else None


def _to_poll(gate: Gate, running: list[jobs.Logged]) -> list[str]:
    """The few whose logs were read longest ago."""
    running = pollable(gate, running, lambda one: one.credentials)
    running.sort(key=lambda one: one.read_at or one.admitted_at)
    return [one.run_id for one in running[:POLLED_PER_PASS]]


def _poll(gate: Gate, run: Run, attempt: Attempt) -> News | None:
    job, resume, secrets = job_log(run, attempt), resume_of(gate, run, attempt), secret_values(gate, run)
    lines: list[LogLine] = []
    try:
        read, _ = gate.hub_of(job.credentials).streams.log(
            job.namespace, job.job_id, silence_seconds=SILENCE_SECONDS, max_seconds=MAX_SECONDS
        )
        lines = _without_an_open_end(resume.new(read) + resume.at_end(), secrets)
    except HubFault as error:
        log.info("log_unavailable", run_id=run.id, problem=error.message)
    return _news(run, attempt, lines, secrets)


def _without_an_open_end(lines: Sequence[LogLine], secrets: Sequence[str]) -> list[LogLine]:
    """The last line waits for the next one where a secret may go on there: only together do they show it."""
    is_open = bool(lines) and mask.may_go_on(lines[-1].text, secrets)
    return list(lines[:-1] if is_open else lines)


def _news(run: Run, attempt: Attempt, lines: Sequence[LogLine], secrets: Sequence[str]) -> News:
    kept = masked(lines, secrets)
    reader = Reader.from_json(attempt.reading, hints_of(run))
    reader.read(kept)
    return News(run.id, attempt.submission, attempt.log_lines, kept, reader, attempt.reading)


def _store(
    session: Session, news: Sequence[News], reporting: Sequence[Attempt], most_bytes: int, now: datetime
) -> tuple[set[str], set[str]]:
    """The submissions whose lines were stored, and those whose reports were taken in."""
    stored, reported = set(), set()
    for one in news:
        if (found := runs.lock_submission(session, one.run_id, one.submission)) is None:
            continue
        run, attempt = found
        attempt.log_read_at = now
        session.add(attempt)
        if logs.append(session, attempt, one.base, one.lines, now, most_bytes):
            note(session, run, attempt, one.reader)
            stored.add(one.submission)
    for attempt in reporting:
        if (found := runs.lock_submission(session, attempt.run_id, attempt.submission)) is not None:
            callback.take_in(session, *found)
            reported.add(attempt.submission)
    return stored, reported
