"""From a follow-up to the script that does it, with its arguments. The scripts are files of `service.follow_ups`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.follow_up.asked import AnyFollowUp, Evaluate, MergeLora, merged_repo
from service.domain.model_files import ADAPTER_CONFIG
from service.domain.recipe import stored
from service.domain.script import Script
from service.domain.shipped import shipped
from service.domain.trl.command import flag
from service.domain.trl_sft import TrlSft

# What of a training decides which loss a row has (SFTConfig, TRL 1.16): an evaluation on the same rows keeps to it.
OF_THE_LOSS = (
    "assistant_only_loss",
    "completion_only_loss",
    "dataset_text_field",
    "eos_token",
    "loss_type",
    "max_length",
    "pad_token",
    "truncation_mode",
)


@dataclass(frozen=True)
class Model:
    """A model on the Hub; `revision` None where nobody knows its commit yet. Of an adapter, the commit of its base."""

    repo: str
    revision: str | None = None
    is_adapter: bool = False
    base_revision: str | None = None


def has_model(output: Mapping[str, Any] | None) -> bool:
    """Whether there is a model to go on from, by a run's `output`: its own, an earlier run's, or a rescued one."""
    return output is not None and output.get("verified") is True


def model_in(output: Mapping[str, Any], pins: Mapping[str, str]) -> Model:
    """The model that a run published, by its `output` and what it was trained from."""
    is_adapter = any(file["path"] == ADAPTER_CONFIG for file in output.get("files", ()))
    base = pins.get("model_revision") if is_adapter else None
    return Model(output["repo"], output.get("revision"), is_adapter, base)


def script_of(
    asked: AnyFollowUp, model: Model, trained: TrlSft | Script, pins: Mapping[str, str], output_repo: str
) -> dict[str, Any]:
    """A stored recipe. `trained`, `pins` and `output_repo` are those of the run that it follows."""
    given: dict[str, Any] = {
        "model": model.repo,
        "revision": model.revision,
        "adapter": True if model.is_adapter else None,
        "base-revision": model.base_revision,
        "trust-remote-code": _trusts_code(trained) or None,
    }
    if isinstance(asked, MergeLora):
        given["output-repo"] = merged_repo(asked, output_repo)
    elif isinstance(asked, Evaluate):
        given |= _rows(asked, trained, pins)
    else:
        given |= {"prompt": asked.prompts, "max-new-tokens": asked.max_new_tokens}
    args = [item for name, value in given.items() if value is not None for item in _argument(name, value)]
    return stored(Script.model_validate({"kind": "script", "source": shipped(asked.kind), "args": args}))[0]


def _rows(asked: Evaluate, trained: TrlSft | Script, pins: Mapping[str, str]) -> dict[str, Any]:
    flags = trained.flags() if isinstance(trained, TrlSft) else {}
    settings = {name: flags[name] for name in OF_THE_LOSS if name in flags}
    own_split = flags.get("dataset_test_split") or "test"
    if asked.dataset_name is not None or isinstance(trained, Script):
        place = {"dataset": asked.dataset_name, "dataset-config": asked.dataset_config}
        settings = {name: value for name, value in settings.items() if name == "max_length"}
    else:
        place = {
            "dataset": trained.dataset_name,
            "dataset-config": trained.dataset_config or flags.get("dataset_config"),
            "dataset-revision": pins.get("dataset_revision") or trained.dataset_revision,
        }
    more = {"split": asked.split or own_split, "batch-size": asked.batch_size, "settings": json.dumps(settings)}
    return place | more


def _trusts_code(trained: TrlSft | Script) -> bool:
    return isinstance(trained, TrlSft) and trained.flags().get("trust_remote_code") is True


def _argument(name: str, value: object) -> list[str]:
    if value is True:
        return [f"--{name}"]
    if isinstance(value, list):
        return [f"--{name}={one}" for one in value]
    return flag(name, value)
