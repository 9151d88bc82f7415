"""Reading steps, numbers, phases and the time that is left out of logs, in whatever portions they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.log_line import LogLine
from service.domain.progress import Hints, Mark, Phase, Progress, Reader, eta
from service.domain.progress.pace import MOST_MARKS, with_mark
from service.domain.progress.point import points_in

START = datetime(2026, 11, 24, tzinfo=UTC)
LOGS = Path(__file__).parents[1] / "diagnosis" / "corpus" / "logs"


def lines_of(texts: list[str], seconds: float = 1.0) -> list[LogLine]:
    return [LogLine((START + timedelta(seconds=n * seconds)).isoformat(), text) for n, text in enumerate(texts)]


def read(texts: list[str], hints: Hints | None = None) -> Progress:
    return Reader(hints or Hints()).read([LogLine("", text) for text in texts])


def recorded(name: str) -> list[str]:
    """A real log, as lines come from a job: `\\r` ends none."""
    return (LOGS / f"{name}.log").read_bytes().decode().split("\n")


def test_transformers_5_prints_quoted_numbers_and_a_bar() -> None:
    told = read(
        [
            " 25%|██▌       | 5/20 [00:10<00:30, 2.05s/it]{'loss': '6.064', 'grad_norm': '3.6', 'epoch': '0.05'}",
            " 50%|█████     | 10/20 [00:20<01:00:05, 2.05s/it]\r 55%|█████     | 11/20 [00:22<00:18, 2.05s/it]",
        ]
    )
    assert (told.step, told.total_steps, told.loss, told.eta_seconds) == (11, 20, 6.064, 18)
    assert (told.grad_norm, told.epoch, told.phase) == (3.6, 0.05, "train")


def test_transformers_4_prints_floats_and_bare_nan() -> None:
    assert read(["{'loss': 1.25, 'learning_rate': 5e-05, 'epoch': 1.0}"]).learning_rate == 5e-05
    (point,) = points_in("{'loss': nan, 'grad_norm': inf, 'learning_rate': 2e-05, 'epoch': 0.1}")
    assert (point.numbers, point.not_finite) == ({"learning_rate": 2e-05, "epoch": 0.1}, ("loss", "grad_norm"))


def test_a_script_may_print_step_and_total_itself_as_a_dict_or_as_json() -> None:
    for line in ("{'loss': '0.5', 'step': 20, 'total_steps': 300}", '{"loss": 0.5, "step": 20, "total_steps": 300}'):
        told = read([line])
        assert (told.step, told.total_steps, told.loss) == (20, 300, 0.5)


NUMBERS = "{'loss': nan, 'grad_norm': nan, 'epoch': 0.1}"


@pytest.mark.parametrize(
    "before",
    [
        "",
        "[rank0]: ",
        "  5%|▌         | 5/100 [00:10<00:30, 2.05s/it]",
        "Train:   5%|▌         | 5/100 [00:10<00:30, 2.05s/it] ",
        "\x1b[32m",
        "INFO:__main__:",
        "2026-01-31 10:00:00,123 - root - INFO - ",
        "[INFO|trainer.py:2345] 2026-01-31 10:00:00 >> ",
        "2026-01-31 10:00:00.123 | INFO     | train:log:42 - ",
        "step 10: ",
        "Epoch 1/3, step=10 ",
        "train metrics: ",
    ],
)
def test_a_training_prints_its_numbers_after_what_its_surroundings_put_there(before: str) -> None:
    assert [point.not_finite for point in points_in(before + NUMBERS)] == [("loss", "grad_norm")]


@pytest.mark.parametrize(
    "row",
    [
        '{"prompt": "x", "loss": NaN}',
        "  {'loss': nan, 'epoch': 0.1}, {'loss': nan}",
        "{'loss': nan, 'text': 'a'}",
        "{'loss': nan, 'is_best': True}",
    ],
)
def test_a_row_of_data_is_no_entry_of_a_training(row: str) -> None:
    assert not list(points_in(row))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("row 17: ", ""),
        ("sample 3 of the data: ", ""),
        ('{"text": "the log said ', '"}'),
        ("messages=[user] ", " what does this log tell me?"),
        ("ValueError: unexpected numbers ", ""),
        ("", " is what the model should say of it"),
        ("12:12:12 " * 200 + "row ", ""),
    ],
)
def test_numbers_that_are_only_quoted_are_not_the_trainings(before: str, after: str) -> None:
    assert not list(points_in(before + NUMBERS + after))


@pytest.mark.parametrize(
    "other",
    [
        "Writing model shards: 100%|██████| 64/64 [00:00<00:00, 9.1it/s]",
        "Tokenizing train dataset: 100%|██████████| 64/64 [00:00<00:00, 1366.78 examples/s]",
        "[rank1]: Map: 100%|██████████| 64/64 [00:00<00:00, 1366.78 examples/s]",
        "100%|██████████| 3/3 [00:00<00:00, 223.03it/s]",
    ],
)
def test_another_bar_is_not_the_training_bar(other: str) -> None:
    training = " 62%|██████▎   | 5/8 [00:10<00:30, 2.05s/it]"
    for order in ([other, training], [training, other]):
        told = read(order, Hints(total_steps=8))
        assert (told.step, told.total_steps) == (5, 8)
    assert (read([training, other]).step, read([training, other]).total_steps) == (5, 8)


def test_a_first_bar_that_is_over_gives_way_to_the_next() -> None:
    told = read(["100%|██████████| 64/64 [00:00<00:00, 3it/s]", " 62%|██████▎   | 5/8 [00:10<00:30, 2.05s/it]"])
    assert (told.step, told.total_steps) == (5, 8)


@pytest.mark.parametrize(
    ("name", "every", "steps", "total", "points"), [("lora", 5, 20, 20, 4), ("full300", 25, 300, 300, 12)]
)
def test_a_real_log_of_trl(name: str, every: int, steps: int, total: int, points: int) -> None:
    reader = Reader(Hints(logging_steps=every))
    reader.read(lines_of(recorded(name)))
    told = reader.progress
    assert (told.step, told.total_steps, told.train_seconds is not None) == (steps, total, True)
    train = [point for point in reader.points if point.kind == "train"]
    assert [point.step for point in train] == [every * (n + 1) for n in range(points)]
    assert all({"loss", "learning_rate", "grad_norm", "num_tokens"} <= point.numbers.keys() for point in train)
    assert [point.kind for point in reader.points].count("summary") == 1


def test_evaluations_are_points_of_their_own_at_the_step_they_were_made() -> None:
    reader = Reader(Hints(logging_steps=25))
    reader.read(lines_of(recorded("full300")))
    evals = [(point.step, point.numbers["eval_loss"]) for point in reader.points if point.kind == "eval"]
    assert evals[0] == (100, 0.4254)
    assert reader.progress.eval_loss == evals[-1][1]


@cache
def read_whole(name: str) -> tuple[list[LogLine], Reader]:
    """The lines of a recorded log, and who has read them at once."""
    lines = lines_of(recorded(name))
    whole = Reader(Hints(logging_steps=5))
    whole.read(lines)
    return lines, whole


@pytest.mark.parametrize("name", ["lora", "full300", "trackio", "fail-nan-loss", "push-500", "gen300"])
@given(st.data())
def test_portions_do_not_matter(name: str, data: st.DataObject) -> None:
    lines, whole = read_whole(name)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=4)))
    kept, points = None, []
    for begin, end in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        reader = Reader.from_json(kept, Hints(logging_steps=5))
        reader.read(lines[begin:end])
        points += reader.points
        kept = reader.as_json()
    assert kept == whole.as_json()
    assert points == whole.points


def test_without_bars_the_steps_follow_from_the_recipe() -> None:
    reader = Reader(Hints(total_steps=25, logging_steps=10))
    reader.read(lines_of(["{'loss': '3'}", "{'loss': '2'}", "{'loss': '1'}"]))
    assert [point.step for point in reader.points] == [10, 20, 25]


def test_phases_go_on_and_not_back() -> None:
    seen = []
    reader = Reader()
    for text in (
        "Installed 61 packages in 1.2s",
        "Generating train split: 812 examples [00:00, 9000 examples/s]",
        "  0%|          | 0/8 [00:00<?, ?it/s]",
        "Writing model shards: 100%|██████████| 1/1 [00:00<00:00, 325.59it/s]",
        "Processing Files (1 / 1)",
        "{'loss': '1.2'}",
        "{'train_runtime': '10', 'train_loss': '1.2'}",
        "Processing Files (1 / 1)",
        "Generating test split: 12 examples",
    ):
        seen.append(reader.read([LogLine("", text)]).phase)
    assert seen == ["setup", "data", "train", "train", "train", "train", "save", "push", "push"]


def test_the_time_that_is_left_is_a_range_by_how_fast_steps_came() -> None:
    times = [0, 10, 20, 50, 60, 70]
    marks = [Mark(START + timedelta(seconds=at), 10 * n) for n, at in enumerate(times)]
    found = eta(marks, 50)
    assert found is not None
    assert found.seconds == pytest.approx(50 * 70 / 50)
    assert found.low == pytest.approx(50 * 1)
    assert 70 < found.high <= 150
    assert eta(marks[:1], 50) is None
    assert eta(marks, None) is None


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 50)), max_size=80))
def test_marks_stay_few_and_in_order(steps: list[tuple[float, int]]) -> None:
    marks: list[Mark] = []
    at = START
    for seconds, step in steps:
        at += timedelta(seconds=seconds)
        marks = with_mark(marks, Mark(at, step))
    assert len(marks) <= MOST_MARKS
    assert all(a.step < b.step and a.at < b.at for a, b in pairwise(marks))
    found = eta(marks, 10)
    assert found is None or 0 <= found.low <= found.seconds <= found.high


def test_nan_is_no_loss_to_show() -> None:
    good = "{'loss': '2.5', 'grad_norm': '1.5', 'learning_rate': '1e-05'}"
    for broken in ("'nan', 'grad_norm': 'nan'", "'0', 'grad_norm': 'nan'", "0.0, 'grad_norm': inf"):
        told = read([good, f"{{'loss': {broken}}}"])
        assert (told.loss, told.grad_norm, told.learning_rate) == (None, None, 1e-5)
    told = read([good, "{'loss': '2.4', 'grad_norm': 'nan'}"])
    assert (told.loss, told.grad_norm) == (2.4, None)
    assert read(["{'loss': '0', 'grad_norm': '0'}"]).loss == 0


def test_a_zero_in_place_of_nan_is_no_number_of_the_series() -> None:
    reader = Reader()
    reader.read([LogLine("", "{'loss': '0', 'grad_norm': 'nan', 'learning_rate': '1'}")])
    (point,) = reader.points
    assert point.numbers == {"learning_rate": 1}
    assert set(point.not_finite) == {"loss", "grad_norm"}


def test_a_dashboard_is_linked_where_the_log_names_it() -> None:
    told = read(["wandb: 🚀 View run at https://wandb.ai/acme/huggingface/runs/abc123"])
    assert told.dashboard == "https://wandb.ai/acme/huggingface/runs/abc123"
    assert read(["see https://wandb.ai/site/docs"]).dashboard is None
    space = "* Found existing space: \x1b[1m\x1b[38;5;208mhttps://huggingface.co/spaces/acme/charts\x1b[0m"
    assert read([space]).dashboard == "https://huggingface.co/spaces/acme/charts"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://127.0.0.1:7860/", "http://127.0.0.1:7860/"),
        ("https://charts.acme.com", "https://charts.acme.com"),
        ("http://[::1]:7860/team/a?theme=dark#x", "http://[::1]:7860/team/a"),
        ("https://alice:hush@charts.acme.com/?write_token=hush", "https://charts.acme.com/"),
        ("https://alice:[secret]@charts.acme.com/?write_token=[secret]", "https://charts.acme.com/"),
        ("javascript:alert(1)", None),
        ("https://<script>", None),
    ],
)
def test_a_trackio_server_of_ones_own_is_linked_without_login_and_token(address: str, shown: str | None) -> None:
    assert read([f"* Trackio metrics will be sent to self-hosted server: {address}"]).dashboard == shown


@pytest.mark.parametrize(
    "line",
    [
        "{'a', [1]}",
        "{'loss': " + "-" * 1900 + "1}",
        "9" * 5000 + "/" + "9" * 5000 + " [00:01<00:02",
        "1" * 40_000,
        "{'step': 1e300}",
        "%|" * 2000,
    ],
)
def test_odd_lines_cost_nothing_and_say_nothing(line: str) -> None:
    assert read([line] * 20) == Progress(phase=Phase.SETUP)


@given(lines=st.lists(st.text()))
def test_no_line_breaks_it(lines: list[str]) -> None:
    read(lines)
    read([f"{{'{line}" for line in lines] + [f"{line}}}" for line in lines])
