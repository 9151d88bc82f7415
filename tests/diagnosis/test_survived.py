"""What a program only quoted, or got over, ended nothing: the uncaught traceback at the log's end did."""

from __future__ import annotations

import pytest

from service.domain.diagnosis import Failure, Seen, diagnose
from service.domain.diagnosis.quoted import is_in_passing, is_quoted

TOP = ["Traceback (most recent call last):", '  File "/app/train.py", line 40, in <module>', "    train(batch)"]
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB."
FULL = "OSError: [Errno 28] No space left on device"
OWN = [*TOP, "KeyError: 'lable'"]
LINKED = "During handling of the above exception, another exception occurred:"
COUNTED = {
    "trainer": ["{{'loss': '2.{0:02}', 'grad_norm': '1.1', 'epoch': '0.{0:02}'}}"],
    "own": ["step {0} loss 2.{0:02}"],
    "steps": ["Step {0} done in 0.3 s"],
    "parts": ["[Epoch 1][{0}/100] 3000 tok/s"],
    "spread": ["Iteration {0}", "  tokens 4096"],
}


def found(*lines: str, code: int | None = 1) -> Failure:
    return diagnose(Seen(lines, code))


def steps(kind: str, first: int, last: int) -> list[str]:
    return [line.format(count) for count in range(first, last) for line in COUNTED[kind]]


@pytest.mark.parametrize("kind", COUNTED)
@pytest.mark.parametrize(
    "caught",
    [[*TOP, OOM], [f"caught: {OOM[23:]}"], [f"caught: OutOfMemoryError('{OOM[23:]}')"], [OOM], [*TOP, FULL]],
    ids=["printed", "told", "repr", "bare", "disk"],
)
def test_what_training_went_on_after_did_not_end_it(kind: str, caught: list[str]) -> None:
    told = found(*steps(kind, 1, 4), *caught, *steps(kind, 4, 14), *OWN)
    assert (told.cause.value, told.evidence) == ("script_error", "KeyError: 'lable'")


def test_with_no_step_or_one_in_between_the_first_thing_counts() -> None:
    for between in ([], steps("own", 4, 5), ["cleaning up", "closing the tracker"]):
        assert found(*steps("own", 1, 4), *TOP, OOM, *between, *OWN).cause == "cuda_oom"


def test_steps_that_another_process_tells_of_are_no_proof() -> None:
    oom = [f"[rank1]: {line}" for line in (*TOP, OOM)]
    nccl = [f"[rank0]: {line}" for line in (*TOP, "ValueError: a collective did not answer")]
    assert found(*oom, *steps("own", 4, 14), *nccl).cause == "cuda_oom"


def test_what_follows_from_an_end_is_no_end_of_its_own() -> None:
    child = [*TOP, "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:"]
    assert found(*TOP, OOM, *steps("own", 4, 14), *child).cause == "cuda_oom"
    nccl = "RuntimeError: NCCL error: unhandled system error, remote process exited or there was a network error"
    assert found(*steps("own", 1, 4), *TOP, OOM, *TOP, nccl, *child).cause == "cuda_oom"


@pytest.mark.parametrize("raised", ["KeyError: 'x'", "ModuleNotFoundError: No module named 'pynvml'", "ValueError: x"])
def test_what_is_raised_while_room_gave_out_is_a_consequence(raised: str) -> None:
    assert found(*TOP, OOM, "", LINKED, "", *TOP, raised).cause == "cuda_oom"
    assert found(*TOP, FULL, "", LINKED, "", *TOP, raised).cause == "disk_full"


@pytest.mark.parametrize(
    "rows",
    [
        ['{"text": "My training dies with CUDA out of memory. What now?"}'],
        ["row 5: RuntimeError: CUDA out of memory. Tried to allocate 20 MiB"],
        ["{'instruction': 'fix OSError: [Errno 28] No space left on device', 'output': 'delete'}"],
        ["Sample: How do I mend No space left on device?"],
        ["<|user|>I get torch.cuda.OutOfMemoryError: CUDA out of memory<|assistant|>Lower the batch size"],
        ["I get torch.cuda.OutOfMemoryError: CUDA out of memory"],
        ["['No space left on device', 'CUDA out of memory']"],
    ],
)
def test_rows_of_data_that_are_printed_ended_nothing(rows: list[str]) -> None:
    assert found("Loading", *rows, "Training", *OWN).evidence == "KeyError: 'lable'"


@pytest.mark.parametrize(
    "message",
    [
        'RuntimeError: row 5: "CUDA out of memory"',
        "RuntimeError: cannot parse 'No space left on device'",
        "KeyError: 'CUDA out of memory'",
        "ValueError: invalid literal for int() with base 10: 'CUDA out of memory'",
        "AssertionError: {'text': 'No space left on device (os error 28)'}",
    ],
)
def test_an_exception_that_quotes_another_is_not_that(message: str) -> None:
    assert found(*TOP, message).cause == "script_error"


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (
            'SafetensorError: IoError(Os { code: 28, kind: Full, message: "No space left on device" })',
            "disk_full",
        ),
        ("RuntimeError: worker died: OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')", "cuda_oom"),
        ('RuntimeError: the engine answered {"error": "CUDA out of memory"}', "cuda_oom"),
        ("OSError: [Errno 28] No space left on device: '/data/x.bin'", "disk_full"),
        ("RuntimeError: couldn't write the model's file: No space left on device", "disk_full"),
    ],
)
def test_an_exception_that_reports_another_is_that(message: str, cause: str) -> None:
    assert found(*TOP, message).cause == cause


def test_what_is_quoted_still_tells_where_nothing_else_does() -> None:
    assert found("Training died of CUDA out of memory, see you").cause == "cuda_oom"


def test_where_a_quotation_begins_and_ends() -> None:
    text = "it's said 'a b' and \"c d\", isn't it"
    at = text.index
    assert is_quoted(text, at("a b"), at("a b") + 3)
    assert is_quoted(text, at("c d"), at("c d") + 3)
    assert not is_quoted(text, at("and"), at("and") + 3)
    assert not is_quoted(text, at("b'"), at("c d"))
    assert is_in_passing("as I said OOM", 10)
    assert not is_in_passing("tee: error: OOM", 12)


@pytest.mark.parametrize("name", ["ValueError", "json.decoder.JSONDecodeError", "AssertionError"])
def test_a_check_of_the_scripts_own_names_no_memory_that_gave_out(name: str) -> None:
    assert found(*TOP, f"{name}: item 7 is malformed, CUDA out of memory. Tried to allocate").cause != "cuda_oom"
    assert found(*TOP, "RuntimeError: worker 7 died, CUDA out of memory. Tried to allocate").cause == "cuda_oom"


def test_an_exit_code_that_speaks_outranks_what_training_went_on_after() -> None:
    assert found(*steps("own", 1, 4), *TOP, OOM, *steps("own", 4, 14), code=137).cause == "host_oom"
    # output that is not flushed comes after the traceback: no proof where the exit code says nothing
    assert found(*TOP, OOM, *steps("own", 1, 14)).cause == "cuda_oom"


def test_a_sentence_tells_why_a_script_gives_up_but_not_why_a_look_up_fails() -> None:
    told = "Training ran into CUDA out of memory."
    assert found("step 1", told, *TOP, "RuntimeError: training failed").cause == "cuda_oom"
    assert found("step 1", told, *OWN).cause == "script_error"
