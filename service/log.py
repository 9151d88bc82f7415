"""Structured logs: one JSON object a line, with the run's id wherever there is a run."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer


def configure(level: str, file: TextIO = sys.stderr) -> None:
    """Set the process's logging up."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Never the variables of a traceback's frames: tokens and secrets are among them.
            ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(file),
        cache_logger_on_first_use=True,
    )
    # libraries say little, and what they say of requests could hold what must not be logged
    logging.basicConfig(level=logging.WARNING, stream=file, format="%(levelname)s %(name)s: %(message)s")
