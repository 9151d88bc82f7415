"""The rules between flags, held against the real classes: what breaks a rule is refused there and its good twin is not;
what the real SFTConfig takes is taken here."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers.trainer_optimizer as handlers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION, GreedyLR
from trl import ModelConfig, SFTConfig, get_quantization_config

from service.domain.trl.flags import release
from service.domain.trl.packages import NEVER, OF_OPTIMIZER
from service.domain.trl.rules import RULES, broken
from service.domain.trl.rules.optimizer import schedules
from tests.rule_examples import EXAMPLES, TRL_1_16, Example
from tests.trl import tiny
from tests.trl.train import config_of, train

RELEASE = release(TRL_1_16)
HERE = [one for one in EXAMPLES if one.release == TRL_1_16 and one.shown_by != "read"]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("rules")
    tiny.make_model(made / "model")
    tiny.make_rows(made / "rows", 16)
    return made


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """A configuration sets variables for accelerate: none is left for the next."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "FSDP_CPU_RAM_EFFICIENT_LOADING"):
            patch.delenv(name, raising=False)
        yield


def really(example: Example, flags: dict[str, Any], folder: Path) -> None:
    how = example.shown_by.partition(",")[0]
    if how == "config":
        config_of({"use_cpu": True, **flags}, folder)
    elif how == "model":
        get_quantization_config(ModelConfig(**flags))
    else:
        train(flags, folder)


@pytest.mark.parametrize("example", HERE, ids=lambda one: one.rule)
def test_the_real_classes_refuse_what_breaks_a_rule_and_take_its_good_twin(example: Example, folder: Path) -> None:
    with pytest.raises((Exception, SystemExit)) as caught:
        really(example, example.bad, folder)
    assert not isinstance(caught.value, AssertionError | MemoryError)
    if not example.shown_by.endswith("bad"):
        really(example, example.good, folder)


def test_one_name_of_a_module_finds_it(folder: Path) -> None:
    from service.domain.trl.fields import Lora

    for targets in ("q_proj", ["q_proj"], ["self_attn.q_proj"], "all-linear", r".*\.q_proj", [r".*\.q_proj"]):
        train({"use_peft": True, **Lora(target_modules=targets).as_flags(), "max_steps": 1}, folder)
    with pytest.raises(ValueError, match="not found"):
        train({"use_peft": True, "lora_target_modules": ["q_proj"]}, folder)


def test_schedules_take_what_the_real_ones_take() -> None:
    given_by_the_trainer = {"optimizer", "num_warmup_steps", "num_training_steps", "self"}
    for kind, function in TYPE_TO_SCHEDULER_FUNCTION.items():
        if (known := schedules().get(kind.value)) is None:
            continue
        real = {"reduce_lr_on_plateau": torch.optim.lr_scheduler.ReduceLROnPlateau, "greedy": GreedyLR}
        takes = set(inspect.signature(real.get(kind.value, function)).parameters) - given_by_the_trainer
        assert set(known["takes"]) == takes, kind
    assert set(schedules()) <= {kind.value for kind in TYPE_TO_SCHEDULER_FUNCTION}
    assert set(RELEASE.flags["lr_scheduler_type"].choices) - set(schedules()) == {"constant", "constant_with_warmup"}


def test_every_optimizer_has_its_package() -> None:
    """By the import checks in the real handlers."""
    packages = {
        "is_bitsandbytes_available": "bitsandbytes",
        "is_galore_torch_available": "galore-torch",
        "is_apollo_torch_available": "apollo-torch",
        "is_lomo_available": "lomo-optim",
        "is_grokadamw_available": "grokadamw",
        "is_torchao_available": "torchao",
        "is_schedulefree_available": "schedulefree",
        "is_torch_optimi_available": "torch-optimi",
    }
    foreign = ("torch_xla", "torch_npu", "torchdistx")
    assert set(RELEASE.flags["optim"].choices) == {str(name.value) for name in handlers._OPTIMIZER_HANDLERS}
    for name, handler in handlers._OPTIMIZER_HANDLERS.items():
        source = inspect.getsource(handler)
        needed = {package for check, package in packages.items() if f"{check}(" in source}
        optimizer = getattr(name, "value", name)
        assert {OF_OPTIMIZER[optimizer]} == needed if needed else optimizer not in OF_OPTIMIZER, optimizer
        assert (optimizer in NEVER) == any(f"from {one}" in source for one in foreign), optimizer


NUMBERS: dict[str, st.SearchStrategy[Any]] = {
    "learning_rate": st.floats(1e-8, 1),
    "warmup_steps": st.floats(0, 1) | st.integers(0, 1000),
    "logging_steps": st.integers(1, 100) | st.floats(0.01, 0.9),
    "eval_steps": st.integers(1, 100) | st.floats(0.01, 0.9),
    "save_steps": st.integers(1, 100) | st.floats(0.01, 0.9),
    "max_steps": st.integers(1, 1000) | st.just(-1),
    "num_train_epochs": st.floats(0.1, 10),
    "max_grad_norm": st.floats(-1, 10),
    "weight_decay": st.floats(0, 1),
    "adam_beta1": st.floats(0, 0.99),
    "adam_beta2": st.floats(0, 0.999),
    "adam_epsilon": st.floats(0, 1e-3),
    "label_smoothing_factor": st.floats(0, 1),
    "dataloader_num_workers": st.integers(0, 8),
    "dataloader_prefetch_factor": st.integers(1, 8),
    "torch_empty_cache_steps": st.integers(1, 8),
    "save_total_limit": st.integers(-1, 8),
    "seed": st.integers(0, 2**32 - 1),
    "max_length": st.none() | st.integers(1, 4096),
    "pad_to_multiple_of": st.integers(1, 64) | st.sampled_from(["auto", "8", "none"]),
}
SWITCHES = re.findall(
    r"\w+",
    """bf16 fp16 bf16_full_eval fp16_full_eval gradient_checkpointing activation_checkpointing load_best_model_at_end
    eval_on_start dataloader_persistent_workers packing padding_free torch_compile greater_is_better do_eval
    save_only_model auto_find_batch_size logging_first_step use_liger_kernel""",
)
WORDS = re.findall(
    r"\w+",
    """eval_strategy save_strategy logging_strategy lr_scheduler_type optim loss_type packing_strategy hub_strategy
    train_sampling_strategy dataloader_multiprocessing_context""",
)
OBJECTS = {
    "lr_scheduler_kwargs": st.sampled_from([{}, {"num_cycles": 0.5}, {"min_lr": 1e-6}, '{"min_lr": 1e-6}', "{x"]),
    "gradient_checkpointing_kwargs": st.sampled_from([{}, {"use_reentrant": True}, '{"use_reentrant": false}']),
    "accelerator_config": st.sampled_from([{}, {"split_batches": True}, {"even_batches": False}, {"no": 1}]),
    "metric_for_best_model": st.sampled_from(["loss", "eval_loss", "mean_token_accuracy", "rouge"]),
    "torch_compile_backend": st.sampled_from(["inductor", "EAGER", "aot_eager"]),
}
ANY = st.fixed_dictionaries(
    {},
    optional={
        **NUMBERS,
        **OBJECTS,
        **{name: st.booleans() for name in SWITCHES},
        **{name: st.sampled_from(RELEASE.flags[name].choices) for name in WORDS},
    },
)
# Rules whose breach SFTConfig does not see: the trainer, a loader or an optimizer raises later.
LATER = {one.rule for one in EXAMPLES if not one.shown_by.startswith("config")}


@settings(max_examples=400, suppress_health_check=list(HealthCheck))
@given(flags=ANY)
def test_what_the_real_configuration_takes_breaks_no_rule_and_what_it_refuses_breaks_one(
    flags: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = broken(flags, RELEASE)
    try:
        SFTConfig(output_dir=str(tmp_path_factory.getbasetemp()), use_cpu=True, report_to="none", **flags)
        refused = None
    except (ValueError, TypeError) as error:
        refused = error
    if refused is None:
        assert found is None or found[0].name in LATER, found
    else:
        assert found is not None, refused


def test_every_rule_has_an_example() -> None:
    assert {one.rule for one in EXAMPLES} == {rule.name for rule in RULES}
