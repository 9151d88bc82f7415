"""How PostgreSQL is talked to: nothing that goes wrong between here and there is waited for without end.

A network that drops packets looks like a server that thinks. So both ends have limits: this one waits so long for an
answer and no longer, and the server ends what a process that is gone has left open, with the rows that it holds.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, create_engine, event, make_url

# The server's limits, in seconds. A transaction that its process has left is ended before others stop waiting for it.
IDLE_IN_TRANSACTION = 8
LOCK = 10
STATEMENT = 15
# This end's: the server's own word that something took too long comes first, where it can be reached.
CONNECT = 5
ANSWER = 17
CHECKOUT = 10

# Both ends ask a silent connection after so many seconds, and give it up soon after.
KEEP_ALIVE = {"idle": 5, "interval": 2, "count": 3}
UNANSWERED_MS = 12_000


class Link(psycopg.Connection[Any]):
    """A connection on which no answer is waited for longer than ANSWER seconds. It is closed then: what was asked is
    still under way on it."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Raises OperationalError where no answer comes."""
        try:
            return super().wait(gen, interval, ANSWER if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if timeout is not None or self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.close()
            raise psycopg.OperationalError(f"PostgreSQL did not answer within {ANSWER} s") from error


def open_postgres(url: str, patient: bool) -> Engine:
    """An engine; `postgresql://` means psycopg 3. A patient one is for migrations and copies, whose statements may take
    long. What the address itself says of a limit is heard."""
    place = make_url(url.replace("postgresql://", "postgresql+psycopg://", 1))
    limits: dict[str, object] = {f"tcp_keepalives_{name}": value for name, value in KEEP_ALIVE.items()}
    limits |= {"tcp_user_timeout": UNANSWERED_MS, "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION}s"}
    if not patient:
        limits |= {"lock_timeout": f"{LOCK}s", "statement_timeout": f"{STATEMENT}s"}
    given = place.query
    options = [*(f"-c {name}={value}" for name, value in limits.items()), str(given.get("options", ""))]
    ours = {
        "connect_timeout": CONNECT,
        "tcp_user_timeout": UNANSWERED_MS,
        **{f"keepalives_{name}": value for name, value in KEEP_ALIVE.items()},
    }
    settings = {name: value for name, value in ours.items() if name not in given} | {"options": " ".join(options)}
    engine = create_engine(
        place, connect_args=settings, pool_pre_ping=True, pool_timeout=CHECKOUT, hide_parameters=True
    )
    if not patient:
        event.listen(engine, "do_connect", _connect)
    return engine


def _connect(_dialect: object, _record: object, arguments: list[Any], settings: dict[str, Any]) -> Link:
    return Link.connect(*arguments, **settings)
