"""How a run that failed is tried again: unchanged, or with a change that keeps what it trains."""

from service.domain.repair.again import Again, Setting
from service.domain.repair.asked import Retry

__all__ = ["Again", "Retry", "Setting"]
