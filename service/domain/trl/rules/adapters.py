"""Where LoRA goes: the forms in which PEFT finds modules by name.

One text is a regular expression that has to match a module's whole name; several are names, each of which may be the
end of it (peft/tuners/tuners_utils.py, check_target_module_exists). `Lora.as_flags` sends a plain name as one of those.
"""

from __future__ import annotations

import re

from service.domain.trl.rules.rule import Flags, Rule

PEFT = "peft/tuners/tuners_utils.py, check_target_module_exists"
NAME = re.compile(r"[\w.-]+")
EVERYTHING = re.compile(r"all([ _-]?(linear|modules|layers))?", re.IGNORECASE)
ALL_LINEAR = "all-linear"
HEAD = "lm_head"


def _targets(flags: Flags) -> list[str]:
    value = flags["lora_target_modules"]
    if not flags.on("use_peft") or value is None:
        return []
    return [value] if isinstance(value, str) else list(map(str, value))


def _is_listed_in_text(flags: Flags) -> bool:
    """`q_proj,v_proj` in one text: no module's name holds a comma or a space."""
    parts = [re.split(r"[,\s]+", one) for one in _targets(flags)]
    return any(len(names) > 1 and all(not name or NAME.fullmatch(name) for name in names) for names in parts)


def _means_everything(flags: Flags) -> bool:
    """`all_linear` and the like: PEFT knows the one spelling, and only alone."""
    targets = _targets(flags)
    if len(set(targets)) == 1 and targets[0].lower() == ALL_LINEAR:
        return False
    return any(EVERYTHING.fullmatch(one) for one in targets)


def _is_no_pattern(flags: Flags) -> bool:
    targets = set(_targets(flags))
    if len(targets) != 1 or NAME.fullmatch(one := targets.pop()):
        return False
    try:
        re.compile(one)
    except (re.error, RecursionError, OverflowError):
        return True
    return False


def _adapts_head(flags: Flags) -> bool:
    saved = flags["lora_modules_to_save"] or ()
    return HEAD not in saved and any(one == HEAD or one.endswith(f".{HEAD}") for one in _targets(flags))


RULES = (
    Rule(
        "targets_in_one_text",
        ("lora_target_modules",),
        _is_listed_in_text,
        "'target_modules' holds several names in one text: {lora_target_modules}",
        'Send a list, such as ["q_proj", "v_proj"].',
        PEFT,
    ),
    Rule(
        "targets_everything",
        ("lora_target_modules",),
        _means_everything,
        "'target_modules' {lora_target_modules} is the name of no module",
        "Send 'all-linear', alone, for every linear layer, or a list of names.",
        "peft/tuners/tuners_utils.py, _maybe_include_all_linear_layers",
    ),
    Rule(
        "targets_pattern",
        ("lora_target_modules",),
        _is_no_pattern,
        "'target_modules' is one text that is neither a name nor a regular expression: {lora_target_modules}",
        'Send a list of names, such as ["q_proj", "v_proj"], or a pattern such as ".*(q|v)_proj".',
        PEFT,
    ),
    Rule(
        "adapter_on_head",
        ("lora_target_modules", "lora_modules_to_save"),
        _adapts_head,
        "'target_modules' holds lm_head, and TRL computes the loss from its weight: the adapter would not be trained",
        "Leave lm_head out, or put it into modules_to_save.",
        "trl/trainer/sft_trainer.py, SFTTrainer.__init__",
        releases=("1.16.0",),
    ),
    Rule(
        "parameters_without_dropout",
        ("lora_dropout", "lora_target_parameters"),
        lambda flags: flags.on("use_peft") and bool(flags["lora_target_parameters"]) and flags["lora_dropout"] != 0,
        "'target_parameters' works without dropout only: 'dropout' is {lora_dropout}",
        "Set dropout 0, or leave target_parameters out.",
        "peft/tuners/lora/layer.py, ParamWrapper.__init__",
    ),
    Rule(
        "parameters_without_dora",
        ("use_dora", "lora_target_parameters"),
        lambda flags: flags.on("use_peft") and bool(flags["lora_target_parameters"]) and flags.on("use_dora"),
        "'target_parameters' does not work with 'dora'",
        "Leave dora out, or target_parameters.",
        "peft/tuners/lora/layer.py, ParamWrapper.__init__",
    ),
)
