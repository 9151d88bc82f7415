"""How a run trains: TRL's maintained SFT script with typed options, or a script of the caller's own.

These models are what a caller sends and what is stored; `domain.job` turns them into a job's command.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.domain.script import Script
from service.domain.trl_sft import TrlSft

Recipe = Annotated[TrlSft | Script, Field(discriminator="kind")]
