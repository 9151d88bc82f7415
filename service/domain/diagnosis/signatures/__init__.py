"""All signatures. Their order matters only between two that match the same line with the same weight: the first "
"wins."""

from __future__ import annotations

from service.domain.diagnosis.signatures.arguments import ARGUMENTS
from service.domain.diagnosis.signatures.cuda import CUDA
from service.domain.diagnosis.signatures.data import DATA
from service.domain.diagnosis.signatures.dependencies import DEPENDENCIES
from service.domain.diagnosis.signatures.hub import HUB
from service.domain.diagnosis.signatures.machine import MACHINE
from service.domain.diagnosis.signatures.memory import MEMORY
from service.domain.diagnosis.signatures.model import MODEL
from service.domain.diagnosis.signatures.origin import ORIGIN
from service.domain.diagnosis.signatures.training import TRAINING

SIGNATURES = (*MEMORY, *CUDA, *MACHINE, *MODEL, *DATA, *HUB, *DEPENDENCIES, *ARGUMENTS, *TRAINING, *ORIGIN)
