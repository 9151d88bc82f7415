"""How far a training is, by its log."""

from service.domain.progress.pace import Eta, Mark, eta
from service.domain.progress.phase import Phase
from service.domain.progress.point import Point
from service.domain.progress.reader import Hints, Progress, Reader
from service.domain.progress.trend import Trend

__all__ = ["Eta", "Hints", "Mark", "Phase", "Point", "Progress", "Reader", "Trend", "eta"]
