"""Optimizers and schedules: what each needs, and which never run on the GPUs of a job."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from service.domain.trl.packages import NEVER
from service.domain.trl.rules.rule import Flags, Rule

OPTIMIZERS = "transformers/trainer_optimizer.py"
LOW_RANK = ("galore", "apollo")


@cache
def schedules() -> dict[str, dict[str, Any]]:
    """schedules.toml: what each `lr_scheduler_type` takes and needs in `lr_scheduler_kwargs`."""
    found: dict[str, dict[str, Any]] = tomllib.loads(
        files("service.domain.trl").joinpath("schedules.toml").read_text("utf-8")
    )
    return found


def _schedule(flags: Flags) -> dict[str, Any]:
    return schedules().get(str(flags["lr_scheduler_type"]), {"takes": None})


def _unknown_argument(flags: Flags) -> bool:
    takes = _schedule(flags)["takes"]
    return takes is not None and bool(flags.table("lr_scheduler_kwargs").keys() - set(takes))


def _lacks_argument(flags: Flags) -> bool:
    given = {name for name, value in flags.table("lr_scheduler_kwargs").items() if value is not None}
    needs = _schedule(flags).get("one_of")
    return needs is not None and len(given & set(needs)) != 1


def _unknown_shape(flags: Flags) -> bool:
    """A schedule's argument that is one of a few words."""
    words: dict[str, list[str]] = _schedule(flags).get("words", {})
    given = flags.table("lr_scheduler_kwargs")
    return any(name in given and given[name] not in allowed for name, allowed in words.items())


def _is_low_rank(flags: Flags) -> bool:
    return str(flags["optim"]).startswith(LOW_RANK)


def _is_no_assignment(flags: Flags) -> bool:
    told = flags["optim_args"]
    return told is not None and any(item.count("=") != 1 for item in told.replace(" ", "").split(","))


RULES = (
    Rule(
        "optimizer_elsewhere",
        ("optim",),
        lambda flags: flags["optim"] in NEVER,
        "the optimizer '{optim}' never runs on a job's GPUs: it needs other hardware, or a package that PyPI has not",
        "Take 'adamw_torch_fused', or 'adamw_8bit' for less memory.",
        OPTIMIZERS,
    ),
    Rule(
        "low_rank_without_targets",
        ("optim_target_modules", "optim"),
        lambda flags: _is_low_rank(flags) and flags["optim_target_modules"] is None,
        "the optimizer '{optim}' needs 'optim_target_modules'",
        'Set optim_target_modules, such as \'all-linear\' or ["attn", "mlp"].',
        f"{OPTIMIZERS}, _setup_low_rank_optimizer",
    ),
    Rule(
        "layerwise_accumulates",
        ("gradient_accumulation_steps", "optim"),
        lambda flags: (
            _is_low_rank(flags)
            and str(flags["optim"]).endswith("layerwise")
            and flags["gradient_accumulation_steps"] != 1
        ),
        "the optimizer '{optim}' steps layer by layer and cannot accumulate: 'gradient_accumulation_steps' is "
        "{gradient_accumulation_steps}",
        "Set gradient_accumulation_steps 1, or take the optimizer without _layerwise.",
        f"{OPTIMIZERS}, _setup_low_rank_optimizer",
    ),
    Rule(
        "optimizer_arguments",
        ("optim_args",),
        _is_no_assignment,
        "'optim_args' is no list of assignments: {optim_args}",
        "Write it as 'name=value,name=value', such as 'rank=64,scale=0.5'.",
        f"{OPTIMIZERS}, _parse_optim_args",
    ),
    Rule(
        "schedule_takes",
        ("lr_scheduler_kwargs", "lr_scheduler_type"),
        _unknown_argument,
        "'lr_scheduler_kwargs' holds what '{lr_scheduler_type}' does not take: {lr_scheduler_kwargs}",
        "Take another key, or another lr_scheduler_type: num_cycles is for cosine, min_lr_rate for cosine_with_min_lr, "
        "num_decay_steps for warmup_stable_decay.",
        "transformers/optimization.py, get_scheduler",
    ),
    Rule(
        "schedule_needs",
        ("lr_scheduler_kwargs", "lr_scheduler_type"),
        _lacks_argument,
        "'lr_scheduler_type' {lr_scheduler_type} needs exactly one thing more in 'lr_scheduler_kwargs'",
        'For cosine_with_min_lr and cosine_warmup_with_min_lr {"min_lr_rate": 0.1} or {"min_lr": 1e-6}; for '
        'warmup_stable_decay {"num_decay_steps": 100}.',
        "transformers/optimization.py, get_cosine_with_min_lr_schedule_with_warmup, get_wsd_schedule",
    ),
    Rule(
        "schedule_words",
        ("lr_scheduler_kwargs", "lr_scheduler_type"),
        _unknown_shape,
        "'lr_scheduler_kwargs' holds a word that '{lr_scheduler_type}' does not know: {lr_scheduler_kwargs}",
        "warmup_type and decay_type are 'linear', 'cosine' or '1-sqrt'; mode is 'min' or 'max'.",
        "transformers/optimization.py, get_wsd_schedule; torch/optim/lr_scheduler.py, ReduceLROnPlateau",
    ),
)
