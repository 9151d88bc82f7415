"""prices: Hugging Face's hardware list, read again before it grows old."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import structlog

from service.flow.gate import Gate
from service.hub.faults import HubFault
from service.store import flavors
from service.store.flavors import Listed

log = structlog.get_logger()
READ_AGAIN = timedelta(minutes=10)


def run_once(gate: Gate) -> int:
    """Read the list and store it, unless that was done a short while ago; how many flavors it has. A failure leaves the
    old prices to their age, and the next pass tries again."""
    with gate.db.read() as session:
        read_at = flavors.last_read(session)
    if read_at is not None and gate.clock() - read_at < READ_AGAIN:
        return 0
    try:
        hardware = gate.hub.hardware()
    except HubFault as error:
        log.warning("prices_unavailable", problem=error.message)
        return 0
    listed = list(_priced(hardware))
    gate.write(lambda session: flavors.replace_all(session, listed, gate.clock()))
    return len(listed)


def _priced(hardware: Iterable[dict[str, Any]]) -> Iterable[Listed]:
    for item in hardware:
        price = item.get("unitCostMicroUSD")
        # A unit other than the minute would make every ceiling wrong: such a flavor stays without a price.
        if (
            isinstance(item.get("name"), str)
            and isinstance(price, int)
            and price >= 0
            and item.get("unitLabel") == "minute"
        ):
            yield Listed(item["name"], price, item)
