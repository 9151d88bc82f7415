"""The packages that a recipe needs beside those of TRL's script."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

_TOLD: dict[str, Any] = tomllib.loads(files("service.domain.trl").joinpath("packages.toml").read_text("utf-8"))
NEVER: dict[str, str] = _TOLD["never"]
OF_OPTIMIZER: dict[str, str] = {name: package for package, names in _TOLD["optim"].items() for name in names}
OF_SWITCH: dict[str, str] = _TOLD["switch"]


def packages_of(flags: Mapping[str, Any]) -> list[str]:
    """What is added to the job's environment for these flags, each package once."""
    packages = [package for name, package in OF_SWITCH.items() if flags.get(name)]
    packages += [_TOLD["report_to"][name] for name in (flags.get("report_to"),) if name in _TOLD["report_to"]]
    if (optimizer := OF_OPTIMIZER.get(str(flags.get("optim")))) is not None:
        packages.append(optimizer)
    return list(dict.fromkeys(packages))
