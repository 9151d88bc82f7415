"""Describe every flag of an installed TRL's SFT script, as JSON on standard output.

Run by `make describe-trl VERSION=…` in an environment that has that TRL; the service itself never imports it. What a
flag takes is read off the script's own parser, and what a config file may hold beside that off the dataclasses' types.
"""

from __future__ import annotations

import argparse
import inspect
import json
import platform
import sys
from dataclasses import fields
from enum import Enum
from importlib import import_module
from importlib.metadata import version
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from trl import DatasetMixtureConfig, ModelConfig, ScriptArguments, SFTConfig, TrlParser
from trl.trainer import sft_trainer
from trl.trainer.utils import create_model_from_path

PARTS = (ScriptArguments, SFTConfig, ModelConfig, DatasetMixtureConfig)  # as in trl/scripts/sft.py
PACKAGES = ("trl", "transformers", "peft", "accelerate", "datasets", "torch")


def main() -> None:
    """Write the description of the TRL that this Python finds."""
    parser = TrlParser(PARTS)
    flags = {}
    for part in PARTS:
        hints = get_type_hints(part)
        for field in fields(part):
            if field.init:
                flags[field.name] = describe(action_of(parser, field.name), hints[field.name], part.__name__)
    versions = {name: version(name).partition("+")[0] for name in PACKAGES}
    # whether a class that transformers does not have may come with the model, as code of its own
    custom = "auto_map" in inspect.getsource(create_model_from_path)
    # where there is no head that makes them tile by tile
    whole = not hasattr(sft_trainer, "add_fused_lm_head")
    resumes = "resume_from_checkpoint" in inspect.getsource(import_module("trl.scripts.sft"))
    told = {**versions, "python": platform.python_version(), "custom_code": custom, "whole_logits": whole}
    told["resumes"] = resumes
    told["flags"] = flags
    json.dump(told, sys.stdout, indent=1)
    sys.stdout.write("\n")


def action_of(parser: argparse.ArgumentParser, name: str) -> argparse.Action:
    """The action of `--name`, not that of its `--no_name` complement."""
    return next(action for action in parser._actions if f"--{name}" in action.option_strings)


def describe(action: argparse.Action, hint: Any, part: str) -> dict[str, Any]:
    """One flag. `parses` is what its command-line value may be, `takes` what may be given at all: the rest travels in
    a config file, whose values the parser takes as they are (a text there is parsed again, so no text joins)."""
    parses = _parses(action)
    annotated = set(_kinds(hint))
    takes = sorted({parses} - {None} | annotated & {"bool", "int", "float", "object", "list"})
    if action.nargs == "+":
        takes = ["list"] if parses else []
    elif parses == "float":
        takes = [kind for kind in takes if kind != "int"]
    elif parses is None and "object" not in annotated:
        takes = []
    choices = list(action.choices or ())
    if isinstance(action.type, type) and issubclass(action.type, Enum):
        choices = [member.value for member in action.type]
    default = action.default.value if isinstance(action.default, Enum) else action.default
    return {
        "part": part,
        "parses": parses,
        "takes": takes,
        "null": "null" in annotated,
        **({"choices": choices} if choices else {}),
        "default": default,
        "help": " ".join((action.help or "").split()),
    }


def _parses(action: argparse.Action) -> str | None:
    """bool, int, float or text by trying the parser's own conversion; None where no text can be one."""
    if action.choices:
        return "text"
    if action.type in (int, float, str):
        return {int: "int", float: "float", str: "text"}[action.type]
    if isinstance(action.type, type):
        return "text" if issubclass(action.type, Enum) else None
    # TRL wraps the type of an optional flag in a function of the same name (scripts/_hf_argparser.py)
    known = {"string_to_bool": "bool", "int": "int", "float": "float", "str": "text"}
    return known.get(getattr(action.type, "__name__", ""))


def _kinds(hint: Any) -> list[str]:
    origin = get_origin(hint) or hint
    if origin in (Union, UnionType):
        return [kind for member in get_args(hint) for kind in _kinds(member)]
    plain = {bool: "bool", int: "int", float: "float", str: "text", dict: "object", list: "list", NoneType: "null"}
    return [plain[origin]] if origin in plain else []


if __name__ == "__main__":
    main()
