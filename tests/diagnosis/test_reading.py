"""How a log is read: carriage returns, colours, ranks, chains, and what it tells of the training."""

from __future__ import annotations

from service.domain.diagnosis.lines import bar, read
from service.domain.diagnosis.tracebacks import chains
from service.domain.diagnosis.training import watch

FRAME = '  File "a.py", line 1, in <module>'


def texts(*raw: str) -> list[str]:
    return [line.text for line in read(raw)]


def losses(*values: object) -> list[str]:
    return [f"{{'loss': {value!r}, 'grad_norm': 1.0, 'epoch': 0.1}}" for value in values]


def test_lines_are_freed_of_what_terminals_and_launchers_add() -> None:
    assert texts("\x1b[31mred\x1b[0m\r\n", "a\rb\r") == ["red", "", "a", "b"]
    assert texts("stderr: [rank1]: boom", "2025-05-01T10:00:00.5Z   indented") == ["boom", "  indented"]
    assert read(["[rank1]: x"])[0].stream == "rank1"
    assert texts("  5%|#  | 1/20 [00:00<00:10, 1.0it/s]Traceback (most recent call last):")[1].startswith("Traceback")
    assert len(texts("x" * 100_000)[0]) == 4_000


def test_bars() -> None:
    seen = bar(" 25%|██▌       | 5/20 [00:00<00:00, 18.05it/s]")
    assert seen is not None
    assert (seen.name, seen.done, seen.total) == ("", 5, 20)
    assert bar("errors: 0%|  | 0/1 [00:00<?, ?it/s]") is not None
    assert bar("100% sure | maybe") is None


def test_linked_tracebacks_are_one_chain_and_ranks_are_kept_apart() -> None:
    link = "The above exception was the direct cause of the following exception:"
    first = ["Traceback (most recent call last):", FRAME, "KeyError: 'a'", "", link, ""]
    second = ["Traceback (most recent call last):", FRAME, "ValueError: b"]
    found = chains(read([*first, *second]))
    assert [[raised.message[0] for raised in chain] for chain in found] == [["KeyError: 'a'", "ValueError: b"]]
    mixed = [f"[rank{rank}]: {text}" for text in second for rank in (0, 1)]
    assert [len(chain) for chain in chains(read(mixed))] == [1, 1]


def test_a_traceback_cut_off_at_its_head_is_still_one() -> None:
    found = chains(read([FRAME, "    main()", "ValueError: b", "more of it"]))
    assert found[0][0].message == ["ValueError: b", "more of it"]


def test_where_training_finished() -> None:
    assert watch(read(["{'train_runtime': 1.0}"])).finished_at == 0
    assert watch(read(["100%|##| 4/4 [00:01<00:00, 2.2it/s]"])).finished_at == 0
    assert watch(read(["Loading weights: 100%|##| 4/4 [00:01<00:00, 2.2it/s]"])).finished_at is None


def test_nan_is_told_in_every_form_and_a_skipped_step_is_none() -> None:
    assert watch(read(["{'loss': '0', 'grad_norm': 'nan'}"])).broken
    assert watch(read(["{'loss': nan, 'grad_norm': nan}"])).broken
    assert watch(read(["step 3 | loss: nan | lr 1e-4"])).broken
    assert watch(read(['{"loss": NaN, "step": 3}'])).broken
    assert watch(read([*losses(2.0), "{'eval_loss': 'nan'}"])).broken
    assert not watch(read(["{'loss': 0.0, 'grad_norm': nan}", *losses(2.0, 1.9, 1.8)])).broken


def test_divergence_is_by_medians() -> None:
    assert watch(read(losses(2.0, 1.9, 1.8, 6.0, 7.0, 8.0))).diverged
    assert watch(read(losses(1.9, 0.9, 0.5, 0.5, 3.1, 3.2))).diverged
    assert not watch(read(losses(2.0, 1.9, 9.0, 1.8, 1.7, 1.6))).diverged
    assert not watch(read(losses(0.0, 0.001, 0.01, 0.02, 0.03, 0.04))).diverged
    assert not watch(read(losses(1.0, 2.5, 0.8, 2.4, 1.1, 2.2, 0.9, 2.3))).diverged
