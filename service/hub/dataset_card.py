"""Works out a dataset's configurations, splits and columns from what the Hub holds of it.

Three sources, the best first: the dataset viewer (`/info`, which has loaded the data), the card's `dataset_info` (which
`push_to_hub` writes), and the files' names with the first row of one that can be read in part. What the card describes
is taken for the configurations that it describes; the files tell of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.domain.facts import DatasetFact, Outcome, Shape, Split
from service.hub.data_files import (
    ANYTHING,
    DATA,
    DEFAULT,
    PICTURES,
    Layout,
    files_of,
    layout,
    mappings,
    name_of,
    number,
)
from service.hub.first_row import FirstRow

FirstRowOf = Callable[[str], FirstRow | None]
MOST_ROWS_READ = 12  # of so many configurations the first row is read: some datasets have hundreds
FEW_SPLITS = 3


@dataclass
class Told:
    """What is known so far, by configuration."""

    configs: dict[str, dict[str, Split]] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    shapes: dict[str, dict[str, Shape]] = field(default_factory=dict)
    wrong_in: dict[str, dict[str, str]] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)

    def wrong(self, config: str, split: str, why: str) -> None:
        """Keep why a split, or all of a configuration, cannot be loaded; the first reason that is found."""
        self.wrong_in.setdefault(config, {}).setdefault(split, why)


def describe_dataset(
    repo: str, sha: str, info: Mapping[str, Any], served: Mapping[str, Any] | None, first_row: FirstRowOf
) -> DatasetFact:
    """One dataset. `served` is the viewer's answer if there is one; `first_row` reads one of its files."""
    card = info.get("cardData")
    card = card if isinstance(card, dict) else {}
    told = Told()
    if served is not None and isinstance(viewed := served.get("dataset_info"), dict) and viewed:
        _take({str(name): one for name, one in viewed.items() if isinstance(one, dict)}, told, "the dataset viewer")
        return _fact(sha, told, card, "")
    files = files_of(info)
    _take({name_of(one): one for one in mappings(card.get("dataset_info"))}, told, "its card")
    laid_out = layout(card, files)
    if _must_ask_files(told, laid_out, card):
        _take_files(laid_out, told, first_row)
    for name, pattern in laid_out.absent.items():
        told.wrong(
            name, "", f"cannot be loaded: its card names '{pattern}', and no file that `datasets` reads is called so"
        )
    return _fact(sha, told, card, _wrong(repo, info, files, card))


def _must_ask_files(told: Told, laid_out: Layout, card: Mapping[str, Any]) -> bool:
    """Whether the card leaves something open: a configuration's splits, or its columns."""
    names = told.configs.keys() | (laid_out.configs.keys() if card.get("configs") is not None else set())
    return not names or any(not told.configs.get(name) or name not in told.columns for name in names)


def _take(described: Mapping[str, Mapping[str, Any]], told: Told, source: str) -> None:
    """What a description in the form of `dataset_info` says."""
    for name, one in described.items():
        told.configs[name] = _splits(one)
        features = _features(one)
        if features:
            told.columns[name] = list(features)
            told.shapes[name] = {column: shape for column, shape in features.items() if shape is not None}
        for split, size in told.configs[name].items():
            if size.rows == 0:
                told.wrong(name, split, "has no rows")
    if described:
        told.sources.append(source)


def _take_files(laid_out: Layout, told: Told, first_row: FirstRowOf) -> None:
    """What the files say of configurations that nobody has described, or not in full."""
    is_only = len(laid_out.configs) == 1 == len(told.configs)
    for count, (found, splits) in enumerate(laid_out.configs.items()):
        # what the card calls otherwise is the same where there is but one
        name = next(iter(told.configs)) if is_only else found
        if not told.configs.get(name):
            told.configs[name] = {split: Split(size_bytes=_size(paths)) for split, paths in splits.items()}
        for split, paths in splits.items():
            if paths and all(size == 0 for size in paths.values()):
                told.wrong(name, split, f"has no rows: {next(iter(paths))} is empty")
        if name not in told.columns and count < MOST_ROWS_READ:
            _take_rows(name, splits, told, first_row)
    if laid_out.configs:
        told.sources.append("its files")


def _take_rows(name: str, splits: Mapping[str, Mapping[str, int | None]], told: Told, first_row: FirstRowOf) -> None:
    """The columns from the first file that says something, that of `train` before others. Of a dataset with few splits
    each is looked into: one that cannot be loaded is the end of all."""
    for split, paths in sorted(splits.items(), key=lambda item: item[0] != "train"):
        if name in told.columns and len(splits) > FEW_SPLITS:
            return
        path = min(paths, default=None)
        if path is None or paths[path] == 0 or (row := first_row(path)) is None:
            continue
        if row.trouble and len(paths) == 1:
            told.wrong(name, split, f"cannot be loaded: {path} {row.trouble}")
            continue
        size = told.configs.get(name, {}).get(split)
        if row.rows is not None and len(paths) == 1 and size is not None and size.rows is None:
            told.configs[name][split] = size.model_copy(update={"counted": row.rows})
        if row.columns and name not in told.columns:
            told.columns[name] = [one for one in row.columns if one]
            told.shapes[name] = dict(row.shapes)


def _wrong(repo: str, info: Mapping[str, Any], files: Mapping[str, int | None], card: Mapping[str, Any]) -> str:
    """Why nothing of it can be loaded, where its files' names say so."""
    script = repo.rpartition("/")[2] + ".py"
    if script in files:
        return f"it is a loading script, {script}, which `datasets` has not run since its release 4"
    if not isinstance(info.get("siblings"), list) or any(map(DATA.fullmatch, files)) or card.get("configs") is not None:
        return ""
    if any(map(ANYTHING.fullmatch, files)):
        return ""
    if any(map(PICTURES.fullmatch, files)):
        return "it holds pictures or sound, and no text to learn"
    return "it has no data files"


def _fact(sha: str, told: Told, card: Mapping[str, Any], wrong: str) -> DatasetFact:
    return DatasetFact(
        outcome=Outcome.FOUND,
        sha=sha,
        configs=told.configs,
        columns={name: names for name, names in told.columns.items() if names},
        shapes=told.shapes,
        default_config=_default(told.configs, card),
        wrong=wrong,
        wrong_in=told.wrong_in,
        source=" and ".join(told.sources),
    )


def _default(configs: Mapping[str, object], card: Mapping[str, Any]) -> str | None:
    """The configuration that is taken where none is named (datasets 5.2, `get_default_config_name`)."""
    marked = [name_of(one) for one in mappings(card.get("configs")) if one.get("default")]
    if len(marked) == 1 and marked[0] in configs:
        return marked[0]
    return DEFAULT if DEFAULT in configs else next(iter(configs)) if len(configs) == 1 else None


def _splits(told: Mapping[str, Any]) -> dict[str, Split]:
    listed = told.get("splits")
    if isinstance(listed, dict):  # the viewer gives a mapping, the card a list
        listed = list(listed.values())
    return {
        str(one["name"]): Split(rows=number(one.get("num_examples")), size_bytes=number(one.get("num_bytes")))
        for one in (mappings(listed) if isinstance(listed, list) else ())
        if "name" in one
    }


def _features(told: Mapping[str, Any]) -> dict[str, Shape | None]:
    """The columns, with what is in them where the description says it plainly."""
    features = told.get("features")
    if isinstance(features, dict):
        return {str(name): _shape(one) for name, one in features.items()}
    return {str(one["name"]): _shape(one) for one in mappings(features) if "name" in one}


def _shape(feature: object) -> Shape | None:
    dtype = feature.get("dtype") if isinstance(feature, dict) else None
    if not isinstance(dtype, str):
        return None
    if dtype in ("string", "large_string"):
        return Shape.TEXT
    return Shape.NUMBER if dtype.startswith(("int", "uint", "float", "bool")) else None


def _size(paths: Mapping[str, int | None]) -> int | None:
    sizes: Sequence[int | None] = list(paths.values())
    known = [size for size in sizes if size is not None]
    return sum(known) if known and len(known) == len(sizes) else None
