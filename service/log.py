"""Structured logs: one JSON object a line, with the run's id wherever there is a run.

Whatever libraries log is written the same way. A line holds no control characters (JSON escapes them), so nobody can
write lines of their own into it, and no tokens: what is logged of requests is chosen by whoever sends them.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterable, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.processors import ExceptionRenderer, JSONRenderer, TimeStamper
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer

from service.domain.mask import MASK, mask_tokens

STAMP = TimeStamper(fmt="iso", utc=True)
# Never the variables of a traceback's frames: tokens and secrets are among them.
TRACEBACK = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
# Libraries say little that is of use, and the rest is theirs to debug.
LIBRARIES = logging.WARNING


def configure(level: str, file: TextIO = sys.stderr, secrets: Iterable[str] = ()) -> None:
    """Set the process's logging up; these `secrets` are in no line, whatever they look like."""
    clean, one_line = _Cleaner(secrets), JSONRenderer(serializer=_on_one_line)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            STAMP,
            TRACEBACK,
            clean,
            one_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(file),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(file)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, STAMP],
            processors=[
                ProcessorFormatter.remove_processors_meta,
                TRACEBACK,
                clean,
                one_line,
            ],
        )
    )
    logging.basicConfig(level=LIBRARIES, handlers=[handler], force=True)
    logging.captureWarnings(True)
    threading.excepthook = _log_end_of_thread


class _Cleaner:
    """Takes tokens and known secrets out of an entry, however deep they are in it."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def __call__(self, _logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {name: self._clean(value) for name, value in entry.items()}

    def _clean(self, value: object) -> object:
        match value:
            case str():
                for secret in self._secrets:
                    value = value.replace(secret, MASK)
                return mask_tokens(value)
            case dict():
                return {name: self._clean(item) for name, item in value.items()}
            case list() | tuple():
                return [self._clean(item) for item in value]
            case bool() | int() | float() | None:
                return value
        return self._clean(str(value))


def _on_one_line(entry: Any, **options: Any) -> str:
    # JSON lets this one control character stand
    return json.dumps(entry, **options).replace("\x7f", r"\u007f")


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        name = ended.thread.name if ended.thread is not None else None
        structlog.get_logger().error("thread_ended", thread=name, exc_info=ended.exc_value)
