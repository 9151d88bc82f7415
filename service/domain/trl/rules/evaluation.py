"""When a training evaluates, logs and saves."""

from __future__ import annotations

from service.domain.trl.rules.rule import Flags, Rule

TRAINING_ARGUMENTS = "transformers/training_args.py, TrainingArguments._validate_args"
# What `evaluate` returns without compute_metrics, which sft.py has not (transformers/trainer_utils.py, speed_metrics).
METRICS = frozenset({"loss", "runtime", "samples_per_second", "steps_per_second", "model_preparation_time"})
# What TRL's own `log` adds to it since 1.0 (trl/trainer/sft_trainer.py, SFTTrainer.log); before, it logged a copy.
OF_TRL = frozenset({"entropy", "num_tokens", "mean_token_accuracy", "aux_loss"})


def _waits_for_evaluation(flags: Flags) -> bool:
    return flags["lr_scheduler_type"] in ("reduce_lr_on_plateau", "greedy")


def _is_part_beyond_one(steps: object) -> bool:
    return isinstance(steps, float) and steps > 1 and steps != int(steps)


def _saves_apart(flags: Flags) -> bool:
    """Both by steps, and the best checkpoint would not be one that was evaluated."""
    if not flags.on("load_best_model_at_end") or (flags["save_strategy"], flags["eval_strategy"]) != ("steps", "steps"):
        return False
    save, evaluate = flags["save_steps"], flags.eval_steps
    if not evaluate or save % evaluate == 0:
        return False
    if evaluate >= 1 and save >= 1:
        return True
    # shares of all steps: in whole millionths, as TrainingArguments compares them
    return not (evaluate < 1 and save < 1) or (save * 1_000_000) % (evaluate * 1_000_000) != 0


def _has_unknown_metric(flags: Flags) -> bool:
    metric = flags["metric_for_best_model"]
    known = METRICS if flags.release.version == "0.29.1" else METRICS | OF_TRL
    return flags.evaluates and metric is not None and metric.removeprefix("eval_") not in known


RULES = (
    Rule(
        "plateau_without_evaluation",
        ("lr_scheduler_type", "eval_strategy"),
        lambda flags: _waits_for_evaluation(flags) and not flags.evaluates,
        "'lr_scheduler_type' {lr_scheduler_type} follows the evaluation loss, and nothing is evaluated",
        "Take another scheduler, such as 'cosine', or give recipe.eval and a dataset with a test split.",
        TRAINING_ARGUMENTS,
    ),
    Rule(
        "eval_on_start_without_evaluation",
        ("eval_on_start", "eval_strategy"),
        lambda flags: flags.on("eval_on_start") and not flags.evaluates,
        "'eval_on_start' evaluates first, and there is nothing to evaluate: eval_strategy is 'no'",
        "Leave it out, or give recipe.eval and a dataset with a test split.",
        "transformers/trainer.py, Trainer.get_eval_dataloader",
    ),
    Rule(
        "eval_steps_unknown",
        ("eval_steps", "eval_strategy", "logging_steps"),
        lambda flags: flags["eval_strategy"] == "steps" and not flags["eval_steps"] and flags["logging_steps"] <= 0,
        "'eval_strategy' steps needs 'eval_steps' above 0 where 'logging_steps' is {logging_steps}",
        "Set eval_steps, such as 100.",
        "transformers/training_args.py, TrainingArguments.__post_init__",
    ),
    Rule(
        "eval_steps_whole",
        ("eval_steps", "eval_strategy", "logging_steps"),
        lambda flags: flags["eval_strategy"] == "steps" and _is_part_beyond_one(flags.eval_steps),
        "'eval_steps' above 1 is a whole number of steps (below 1, a share of all)",
        "Round it.",
        TRAINING_ARGUMENTS,
    ),
    Rule(
        "logging_steps_none",
        ("logging_steps", "logging_strategy"),
        lambda flags: flags["logging_strategy"] == "steps" and flags["logging_steps"] == 0,
        "'logging_steps' 0 logs never, and 'logging_strategy' is steps",
        "Set at least 1, or logging_strategy 'no'.",
        TRAINING_ARGUMENTS,
    ),
    Rule(
        "logging_steps_whole",
        ("logging_steps", "logging_strategy"),
        lambda flags: flags["logging_strategy"] == "steps" and _is_part_beyond_one(flags["logging_steps"]),
        "'logging_steps' above 1 is a whole number of steps (below 1, a share of all), not {logging_steps}",
        "Round it.",
        TRAINING_ARGUMENTS,
    ),
    Rule(
        "save_steps_whole",
        ("save_steps", "save_strategy"),
        lambda flags: flags["save_strategy"] == "steps" and _is_part_beyond_one(flags["save_steps"]),
        "'save_steps' above 1 is a whole number of steps (below 1, a share of all), not {save_steps}",
        "Round it.",
        TRAINING_ARGUMENTS,
    ),
    Rule(
        "best_at_end_strategies",
        ("load_best_model_at_end", "eval_strategy", "save_strategy"),
        lambda flags: (
            flags.on("load_best_model_at_end")
            and flags["save_strategy"] != "best"
            and flags["eval_strategy"] != flags["save_strategy"]
        ),
        "'load_best_model_at_end' needs what is saved to be evaluated: save_strategy is '{save_strategy}', and "
        "eval_strategy '{eval_strategy}'",
        "Leave it out, or give recipe.eval the same strategy as save_strategy.",
        TRAINING_ARGUMENTS,
    ),
    Rule(
        "best_at_end_steps",
        ("save_steps", "eval_steps", "logging_steps", "load_best_model_at_end", "save_strategy", "eval_strategy"),
        _saves_apart,
        "'load_best_model_at_end' needs 'save_steps' ({save_steps}) to be a multiple of the steps between evaluations",
        "Set save_steps to a multiple of eval_steps (which are logging_steps where they are left out).",
        TRAINING_ARGUMENTS,
    ),
    Rule(
        "best_without_metric",
        ("metric_for_best_model", "save_strategy", "load_best_model_at_end", "lr_scheduler_type"),
        lambda flags: (
            flags["save_strategy"] == "best"
            and flags["metric_for_best_model"] is None
            and not flags.on("load_best_model_at_end")
            and not _waits_for_evaluation(flags)
        ),
        "'save_strategy' best needs 'metric_for_best_model'",
        "Set metric_for_best_model to 'loss', with recipe.eval, or take another save_strategy.",
        "transformers/trainer.py, Trainer._validate_args",
    ),
    Rule(
        "unknown_metric",
        ("metric_for_best_model", "eval_strategy"),
        _has_unknown_metric,
        "TRL's script measures no '{metric_for_best_model}'",
        "Take 'loss', or leave it out.",
        "transformers/trainer.py, Trainer._determine_best_metric",
    ),
)
