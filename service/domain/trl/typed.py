"""A `trl sft` command line as a recipe: each flag becomes the field that stands for it, or one of `args`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from service.domain.not_mapped import NotMapped

SCRIPT_URL = re.compile(
    r"https://raw\.githubusercontent\.com/huggingface/trl/(?:refs/tags/)?v(\d+\.\d+\.\d+)/trl/scripts/sft\.py"
)
ANY_SCRIPT_URL = re.compile(
    r"https://(raw\.githubusercontent|github)\.com/huggingface/trl/[\w./-]+/scripts/sft\.py(\?.*)?"
)
NUMBER = re.compile(r"-[\d.]")
PLAIN = ("model_name_or_path", "model_revision", "dataset_name", "dataset_config", "dataset_train_split", "report_to")
LORA = {
    "lora_r": "r",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "lora_target_modules": "target_modules",
    "lora_target_parameters": "target_parameters",
    "lora_modules_to_save": "modules_to_save",
    "use_rslora": "rslora",
    "use_dora": "dora",
}
EVAL = {
    "eval_strategy": "strategy",
    "eval_steps": "steps",
    "dataset_test_split": "split",
    "per_device_eval_batch_size": "batch_size",
}
# What the service does by itself, or in its own way, whatever is said here.
DROPPED = {
    "output_dir": "the job has its own folder",
    "push_to_hub": "the model is always published",
    "hub_token": "the job gets its own token",
}


def sft_release(packages: Sequence[str], script_url: str | None = None) -> str | None:
    """The described release of TRL that a command names, by its script's tag or its `--with trl==…`; the service's own
    where it names none; None where it is one that the service does not know."""
    from service.domain.trl.flags import described
    from service.domain.trl_sft import DEFAULT_RELEASE

    wanted = DEFAULT_RELEASE
    if script_url is not None:
        if (tagged := SCRIPT_URL.fullmatch(script_url)) is None:
            return None
        wanted = tagged[1]
    for package in packages:
        if (pinned := re.fullmatch(r"trl(?:\[[\w,-]+\])?==([\d.]+)", package)) is not None:
            wanted = pinned[1]
    return wanted if wanted in described() else None


def known_address(script_url: str) -> str | None:
    """The address of the same script in a release that is known here, for an address of TRL's sft.py; None for any
    other script's."""
    from service.domain.trl_sft import DEFAULT_RELEASE

    if ANY_SCRIPT_URL.fullmatch(script_url) is None:
        return None
    return f"https://raw.githubusercontent.com/huggingface/trl/v{DEFAULT_RELEASE}/trl/scripts/sft.py"


def recipe_of(words: Sequence[str], version: str, notes: list[str]) -> tuple[dict[str, Any], str | None]:
    """The recipe, and where the model goes. Raises NotMapped for a flag that has no place."""
    flags = _flags(words, version)
    repo = flags.pop("hub_model_id", None)
    recipe: dict[str, Any] = {"kind": "trl_sft", "trl_version": version}
    for name in [name for name in flags if name in DROPPED]:
        if name != "push_to_hub" or flags[name] is not True:
            notes.append(f"--{name} is left out: {DROPPED[name]}.")
        del flags[name]
    recipe |= {name: flags.pop(name) for name in PLAIN if name in flags}
    uses_lora = flags.pop("use_peft", False)
    lora = {field: flags.pop(name) for name, field in LORA.items() if name in flags}
    if uses_lora:
        recipe["lora"] = lora
    elif lora:
        raise NotMapped("the --lora_… flags do nothing without --use_peft", "Add --use_peft, or leave them out.")
    if (quantization := _quantization(flags)) is not None:
        recipe["quantization"] = quantization
    if flags.get("eval_strategy", "no") != "no":
        recipe["eval"] = {field: flags.pop(name) for name, field in EVAL.items() if name in flags}
    flags.pop("eval_strategy", None)
    recipe["args"] = flags
    for name in ("model_name_or_path", "dataset_name"):
        if name not in recipe:
            raise NotMapped(f"the command has no --{name}", "Add it: the service checks both before a job is paid.")
    return recipe, repo


def _quantization(flags: dict[str, Any]) -> dict[str, Any] | None:
    four, eight = flags.pop("load_in_4bit", False), flags.pop("load_in_8bit", False)
    if not (four or eight):
        return None
    names = {"bnb_4bit_quant_type": "type", "use_bnb_nested_quant": "nested", "bnb_4bit_quant_storage": "storage"}
    return {"bits": 4 if four else 8, **{field: flags.pop(name) for name, field in names.items() if name in flags}}


def _flags(words: Sequence[str], version: str) -> dict[str, Any]:
    """The flags with their values, typed as the release describes them."""
    from service.domain.trl.flags import release

    known = release(version).flags
    said: dict[str, list[str]] = {}
    values: list[str] | None = None
    for word in words:
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            name = name.replace("-", "_")
            values = said.setdefault(name, [])
            if equals:
                values.append(value)
        elif values is None or (word.startswith("-") and not NUMBER.match(word)):
            raise NotMapped(f"'{word}' is no flag of trl sft", "Give flags as --name value.")
        else:
            values.append(word)
    flags: dict[str, Any] = {}
    for name, texts in said.items():
        if name not in known and name.startswith("no_") and not texts:
            flags[name.removeprefix("no_")] = False
            continue
        flag = known.get(name)
        takes = flag.takes if flag is not None else ()
        if "list" in takes and (len(texts) != 1 or "text" not in takes):
            flags[name] = texts
        elif len(texts) > 1:
            raise NotMapped(f"--{name} takes one value, and {len(texts)} are given", "Give one.")
        else:
            flags[name] = True if not texts else texts[0] if takes == ("text",) else value_of(texts[0])
    return flags


def value_of(text: str) -> Any:
    """A value as it is typed: a number, true, false, null or JSON; else the text itself."""
    if text in ("True", "False"):
        return text == "True"
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
