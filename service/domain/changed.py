"""A recipe as a training, and what becomes of it when an advised change is made."""

from __future__ import annotations

from dataclasses import replace

from service.domain.estimate.advice import Change
from service.domain.estimate.architecture import NotCovered
from service.domain.estimate.card import Flavor
from service.domain.estimate.training import Adapters, Training, read_training, targets_of
from service.domain.trl.command import all_flags
from service.domain.trl.fields import Lora, Quantization
from service.domain.trl.flags import described, release
from service.domain.trl.hardware import hardware_refusal
from service.domain.trl.rules import broken
from service.domain.trl_sft import TrlSft

# The newer name, which goes before the older one where both are given (TrainingArguments.__post_init__).
CHECKPOINTING = ("gradient_checkpointing", "activation_checkpointing")


def training_of(recipe: TrlSft) -> Training | NotCovered:
    """The training that a recipe describes, with the ways of its release."""
    adapters = None
    if recipe.lora is not None:
        adapters = Adapters(recipe.lora.r, targets_of(recipe.lora.target_modules), recipe.lora.dropout)
    if recipe.trl_version not in described():  # a stored recipe may be of a release that no longer is
        return NotCovered(f"TRL {recipe.trl_version} is not described here")
    try:
        return read_training(all_flags(recipe), adapters, whole_logits=release(recipe.trl_version).whole_logits)
    except NotCovered as reason:
        return reason


def allowed(recipe: TrlSft, flavor: Flavor, change: Change) -> Change | None:
    """The change in the recipe's own words; None where the recipe with it would not be the training that was judged,
    would break a rule of its release, or ask for what the flavor has not."""
    args = dict(change.args)
    old, new = CHECKPOINTING
    if old in args and recipe.flags().get(new) is not None:
        args[new] = args.pop(old)
    made = with_change(recipe, replace(change, args=args))
    if made.trl_version not in described() or training_of(made) != change.training:
        return None
    if (
        broken(made.flags(), release(made.trl_version)) is not None
        or hardware_refusal(made.flags(), flavor) is not None
    ):
        return None
    return replace(change, args=args)


def with_change(recipe: TrlSft, change: Change) -> TrlSft:
    """The recipe as it would be sent with a change made."""
    update: dict[str, object] = {"args": {**recipe.args, **change.args}}
    if change.lora is not None:
        update["lora"] = Lora.model_validate(change.lora)
    if change.quantization is not None:
        update["quantization"] = Quantization.model_validate(change.quantization)
    return recipe.model_copy(update=update)
