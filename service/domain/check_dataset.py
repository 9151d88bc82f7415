"""Is the dataset there, can it be loaded, and is there in it what TRL trains on.

What TRL needs of a row is read off its SFTTrainer (1.16, `_prepare_dataset`; data_utils.py): tokens, a chat, a text, or
a prompt with a completion. It tells them by the columns and by what the first row has in them.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.domain.errors import BrokenRule
from service.domain.facts import DatasetFact, Outcome, Shape
from service.domain.finding import Finding, Verdict, failed, listed, nearest, passed, unknown
from service.domain.part import ALL, is_part, parts_of, rows_of
from service.domain.run import Reason
from service.domain.wanted import MAIN, Wanted, WantedData, stood_for

CHAT_COLUMNS = frozenset({"messages", "conversations"})
PAIR_COLUMNS = frozenset({"prompt", "completion"})
PICTURE_COLUMNS = frozenset({"image", "images"})
FIELD = "recipe.dataset_name"
# The recipe's own field for each flag of a split.
FIELDS = {"dataset_train_split": "recipe.dataset_train_split", "dataset_test_split": "recipe.eval.split"}


def check_dataset(wanted: Wanted, fact: DatasetFact) -> list[Finding]:
    """Each thing that is to be found in it; the first that is not ends the search."""
    data = wanted.data
    assert data is not None
    if fact.outcome in (Outcome.UNKNOWN, Outcome.DENIED):
        return [unknown("dataset", fact.message)]
    if not fact.is_found:
        return [_not_found(data, fact)]
    if fact.wrong:
        remedy = "Name a dataset of JSON lines, CSV, Parquet or text files, or convert it to one."
        return [failed("dataset", f"{data.repo} cannot be loaded: {fact.wrong}", Reason.DATASET_FORMAT, FIELD, remedy)]
    found = passed(
        "dataset", f"{data.repo} at {stood_for(data.revision, fact.sha)}, as told by {fact.source or 'nobody'}"
    )
    if not fact.configs:
        return [found, unknown("dataset_splits", "its configurations and splits could not be worked out")]
    config = data.config or fact.default_config
    if config is None or config not in fact.configs:
        return [found, _no_config(wanted, data, fact)]
    if (wrong := _cannot_be_loaded(data, fact.wrong_in.get(config, {}))) is not None:
        return [found, wrong]
    splits = [_check_split(wanted, data, flag, split, fact, config) for flag, split in data.splits.items()]
    few = [] if any(one.verdict is Verdict.FAILED for one in splits) else _check_rows(data, fact, config)
    return [found, *splits, *few, _check_columns(data, fact, config)]


def columns_of(wanted: WantedData, fact: DatasetFact) -> list[str] | None:
    """The columns of the configuration that is asked for; None where they are not known."""
    return fact.columns.get(wanted.config or fact.default_config or "")


def _not_found(wanted: WantedData, fact: DatasetFact) -> Finding:
    cause = Reason.DATASET_NOT_FOUND
    if fact.outcome is Outcome.GATED:
        remedy = f"Accept its terms on the page of {wanted.repo} as the user of the jobs' token, then submit again."
        return failed("dataset", f"the dataset {wanted.repo} is gated: {fact.message}", cause, FIELD, remedy)
    if fact.revision_missing:
        message = f"the dataset {wanted.repo} has no revision '{wanted.revision}'"
        remedy = "Name a branch, tag or full commit that it has, or leave dataset_revision out for 'main'."
        return failed("dataset", message, cause, "recipe.dataset_revision", remedy)
    at = "" if wanted.revision == MAIN else f" at revision '{wanted.revision}'"
    message = f"there is no dataset {wanted.repo}{at} that the jobs' token can see"
    remedy = "Check the name and the revision; a private dataset needs a jobs' token that may read it."
    if fact.hint.endswith(" a model."):
        remedy = f"{fact.hint} Name a dataset here; the model goes into recipe.model_name_or_path."
    elif fact.hint:
        remedy = f"{fact.hint} {remedy}"
    return failed("dataset", message, cause, FIELD, remedy)


def _no_config(wanted: Wanted, data: WantedData, fact: DatasetFact) -> Finding:
    known = listed(sorted(fact.configs))
    if data.config is None:
        message = f"{data.repo} has several configurations and none is named: {known}"
    else:
        message = f"{data.repo} has no configuration '{data.config}': there are {known}"
    remedy = nearest(data.config or "", sorted(fact.configs)) or "Name one of them."
    field = wanted.fields.get("dataset_config", "recipe.dataset_config")
    return failed("dataset_config", message, Reason.DATASET_FORMAT, field, remedy)


def _cannot_be_loaded(wanted: WantedData, wrong: Mapping[str, str]) -> Finding | None:
    """A split that cannot be loaded, whichever it is: the script loads all."""
    if not wrong:
        return None
    split, why = next(
        ((name, wrong[name]) for name in wanted.splits.values() if name in wrong), next(iter(wrong.items()))
    )
    of = f"the split '{split}' of {wanted.repo}" if split else wanted.repo
    remedy = "Put that right in the dataset, or name another: all splits are loaded, also those that are not asked for."
    return failed("dataset_files", f"{of} {why}", Reason.DATASET_FORMAT, FIELD, remedy)


def _check_split(wanted: Wanted, data: WantedData, flag: str, split: str, fact: DatasetFact, config: str) -> Finding:
    name, field = "dataset_splits", wanted.fields.get(flag, FIELDS[flag])
    splits = fact.configs[config]
    if split in splits:
        rows = splits[split].known_rows
        return passed(name, f"'{split}'" + ("" if rows is None else f" has {rows} rows"))
    known = sorted(splits)
    remedy = f"Set {field.removeprefix('recipe.')} to one of them."
    try:
        parts = parts_of(split)
    except BrokenRule as error:  # of a run that was stored before such were refused
        return failed(name, error.rule, Reason.DATASET_FORMAT, field, error.remedy)
    if not known:
        return unknown(name, "its splits could not be worked out")
    if missing := [part.name for part in parts if part.name not in splits and part.name != ALL]:
        message = f"the dataset has no split '{missing[0]}': there are {listed(known)}"
        return failed(name, message, Reason.DATASET_FORMAT, field, nearest(missing[0], known) or remedy)
    if is_part(split) and data.is_streamed:
        message = f"'{split}' is a part of a split, and a dataset that is streamed cannot be taken in parts"
        return failed(name, message, Reason.BAD_ARGUMENT, field, "Name a whole split, or leave dataset_streaming out.")
    rows = rows_of(split, {one: size.known_rows for one, size in splits.items()})
    if rows == 0:
        sizes = ", ".join(f"'{one}' has {size.known_rows}" for one, size in sorted(splits.items()))
        message = f"'{split}' has no rows: {sizes}"
        full = next((one.name for one in parts if (one.name in splits and splits[one.name].known_rows)), None)
        such = "" if full is None else f", such as {full}[:{splits[full].known_rows}]"
        return failed(name, message, Reason.DATASET_FORMAT, field, f"Ask for a part that has rows{such}.")
    return passed(name, f"'{split}'" + ("" if rows is None else f" has {rows} rows"))


def _check_rows(wanted: WantedData, fact: DatasetFact, config: str) -> list[Finding]:
    """Whether the rows fill a batch where only full ones count: else nothing is trained, and the job ends well."""
    known = {one: size.known_rows for one, size in fact.configs[config].items()}
    split = wanted.splits["dataset_train_split"]
    rows = known[split] if split in known else rows_of(split, known) if known else None
    if rows is None or rows >= wanted.least_rows:
        return []
    message = f"{rows} rows are less than a batch of {wanted.least_rows}, and dataloader_drop_last leaves out the rest"
    remedy = "Set dataloader_drop_last to false, or per_device_train_batch_size to less."
    return [failed("dataset_rows", message, Reason.DATASET_FORMAT, "recipe.args.dataloader_drop_last", remedy)]


def _check_columns(wanted: WantedData, fact: DatasetFact, config: str) -> Finding:
    columns, name = fact.columns.get(config), "dataset_columns"
    if columns is None:
        return unknown(name, "its columns could not be worked out")
    if wanted.is_prepared:
        return unknown(name, "TRL takes the rows as they are (skip_prepare_dataset)")
    names, text = set(columns), wanted.text_field
    if not ("input_ids" in names or CHAT_COLUMNS & names or names >= PAIR_COLUMNS or text in names):
        close = nearest(text, columns)
        return failed(
            name,
            f"TRL needs a column 'messages', or '{text}', or 'prompt' and 'completion'; "
            f"the dataset has {listed(columns)}",
            Reason.DATASET_FORMAT,
            "recipe.args.dataset_text_field",
            (close and f"{close} It is named by dataset_text_field.")
            or "Name the column of text, or a dataset whose columns are as TRL wants them.",
        )
    shapes = fact.shapes.get(config, {})
    if (wrong := _check_shapes(wanted, names, shapes)) is not None:
        return wrong
    if wanted.needs_chat and _is_chat(names, shapes) is False:
        return failed(
            name,
            f"'assistant_only_loss' is for chats, and the rows have {listed(columns)}",
            Reason.DATASET_FORMAT,
            "recipe.args.assistant_only_loss",
            "Leave assistant_only_loss out, or name a dataset whose column 'messages' has 'role' and 'content'.",
        )
    return passed(name, listed(columns))


def _check_shapes(wanted: WantedData, names: set[str], shapes: Mapping[str, Shape]) -> Finding | None:
    """What the first row has, in the order in which TRL looks; None where it will do, or is not known."""
    if "input_ids" in names or _is_chat(names, shapes) is not False:
        return None
    text = wanted.text_field
    if text in names:
        if shapes.get(text) in (Shape.TEXT, None):
            return None
        return _misshapen(text, shapes[text], "a text")
    if names >= PAIR_COLUMNS:
        wrong = next((one for one in ("prompt", "completion") if shapes.get(one) not in (Shape.TEXT, None)), None)
        return (
            None if wrong is None else _misshapen(wrong, shapes[wrong], "a text, or messages with 'role' and 'content'")
        )
    column = "messages" if "messages" in names else "conversations"
    need = "messages with 'role' and 'content'" if column == "messages" else "messages with 'from' and 'value'"
    return _misshapen(column, shapes.get(column), need)


def _is_chat(names: set[str], shapes: Mapping[str, Shape]) -> bool | None:
    """Whether TRL takes the rows for chats; None where that cannot be told."""
    told = [shapes.get(name) for name in ("messages", "prompt", "completion") if name in names]
    if "conversations" in names:
        told.append(
            {Shape.TURNS: Shape.CHAT, Shape.CHAT: Shape.LIST}.get(turns, turns)
            if (turns := shapes.get("conversations"))
            else None
        )
    if Shape.CHAT in told:
        return True
    return None if None in told else False


def _misshapen(column: str, shape: Shape | None, need: str) -> Finding:
    message = f"the first row has {shape or 'something else'} in '{column}', where TRL needs {need}"
    remedy = f"Make '{column}' {need} in every row"
    if shape is Shape.TURNS and column == "messages":
        remedy += ", or call the column 'conversations'"
    if shape is Shape.CHAT and column == "conversations":
        remedy += ", or call the column 'messages'"
    return failed("dataset_columns", message, Reason.DATASET_FORMAT, FIELD, f"{remedy}.")


def check_pictures(columns: list[str] | None, model_type: str, text_only: Mapping[str, object]) -> Finding | None:
    """A column of pictures makes TRL train a model that sees: one that reads only cannot be."""
    pictures = sorted(PICTURE_COLUMNS & set(columns or ()))
    if not pictures or model_type not in text_only:
        return None
    message = (
        f"the dataset has a column '{pictures[0]}', by which TRL expects a model that sees; '{model_type}' only reads"
    )
    remedy = "Name a dataset without pictures, or a vision model."
    return failed("dataset_columns", message, Reason.DATASET_FORMAT, FIELD, remedy)
