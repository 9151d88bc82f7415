"""A part of a work that may be undone by itself: its rows go, and so does what it told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy

from sqlmodel import Session


class Undone(Exception):
    """Raised at the end of a trial that was to be undone in any case."""


@contextmanager
def part(session: Session) -> Iterator[None]:
    """What raises in here is undone, and raised; the work goes on for whoever catches it."""
    told = {name: copy(value) for name, value in session.info.items()}
    try:
        with session.begin_nested():
            yield
    except BaseException:
        session.info.clear()
        session.info.update(told)
        raise


@contextmanager
def trial(session: Session) -> Iterator[None]:
    """What is done in here is undone, whether it raises or not: only whether it can be done is found out."""
    try:
        with part(session):
            yield
            raise Undone
    except Undone:
        return
