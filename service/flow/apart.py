"""A thread of its own for work that nothing can stop: whoever waits for it may go away, and nobody else has to wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def apart(work: Callable[[], T], name: str) -> Future[T]:
    """Begin a work; its value, or what it raises, comes with the future. It does not keep the process from ending."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # so that who stops waiting does not call it off for the others

    def run() -> None:
        try:
            value = work()
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(value)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
