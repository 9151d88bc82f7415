"""What an exit code of 0, or none, is worth beside what the log shows."""

from __future__ import annotations

import pytest

from service.domain.diagnosis import Failure, Seen, diagnose

OWN = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "    main()", "KeyError: 'lable'"]
TRAINED = "{'train_runtime': '12.1', 'train_loss': '2.0'}"
NAN = "{'loss': 'nan', 'grad_norm': 'nan', 'epoch': '0.1'}"
REFUSED = [
    'Cannot push: 403 Forbidden: You don\'t have the rights to create a model under the namespace "acme".',
    "Cannot access content at: https://huggingface.co/api/repos/create.",
    "Make sure your token has the correct permissions.",
]


def found(*lines: str, code: int | None = 0) -> Failure:
    return diagnose(Seen(lines, code))


@pytest.mark.parametrize("after", [[], [""], ["wandb: Synced 4 files"], ["[W1129 10:00:00.1 Group.cpp:1] x"]])
def test_a_traceback_as_the_last_word_is_no_good_end(after: list[str]) -> None:
    told = found("Loading", *OWN, *after)
    assert (told.cause.value, told.evidence, told.confidence) == ("script_error", "KeyError: 'lable'", 0.6)
    assert found(TRAINED, *OWN, *after).cause == "script_error"


@pytest.mark.parametrize(
    "after",
    [[TRAINED], ["Model saved to ./out"], ["", "", "Evaluating again"], ["step 1 loss 2.1", "step 2 loss 2.0", "bye"]],
)
def test_a_program_that_went_on_after_its_traceback_ended_well_but_less_surely(after: list[str]) -> None:
    told = found("Loading", *OWN, *after)
    assert (told.cause.value, told.confidence) == ("ok", 0.7)
    assert found("Loading", *after).confidence == 0.9


@pytest.mark.parametrize(
    ("last", "cause"),
    [
        ("Killed", "host_oom"),
        ("bash: line 1:    34 Killed                  python train.py | tee log", "host_oom"),
        ("bash: line 1: trl: command not found", "image_error"),
        ("error: Failed to spawn: `trl`", "missing_dependency"),
    ],
)
def test_the_last_words_of_a_shell_or_an_installer_are_no_good_end(last: str, cause: str) -> None:
    assert found("Loading", last).cause == cause
    assert found("Loading", last).confidence < 0.8
    assert found(last, "trying again", "Saved").cause == "ok"


def test_a_program_that_says_it_is_done_after_its_traceback_had_got_over_it() -> None:
    assert found("Loading", *OWN, "Model saved to ./out", code=None).cause == "ok"
    assert found("Loading", *OWN, "wandb: files uploaded", code=None).cause == "script_error"
    assert found(*OWN[:3], "torch.OutOfMemoryError: CUDA out of memory.", TRAINED, code=None).cause == "cuda_oom"


def test_what_is_not_saved_is_not_done() -> None:
    assert found(*OWN, "the model could not be saved").cause == "script_error"


def test_without_an_exit_code_only_an_end_that_shows_is_one() -> None:
    assert found(TRAINED, code=None).cause == "ok"
    assert found("Loading", "All done.", code=None).cause == "ok"
    assert found("Loading", "Almost there", code=None).cause == "unknown"
    assert found("Loading", "The epoch is not finished", code=None).cause == "unknown"


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_push_that_failed_and_was_passed_over_shows_the_line_that_says_so(first: int) -> None:
    told = found(TRAINED, *REFUSED, "Done.")
    assert (told.cause.value, told.evidence) == ("push_failed", REFUSED[0])
    by_logger = f"WARNING:root:Failed to push to the Hub: {REFUSED[first]}"
    assert found(TRAINED, by_logger, *REFUSED[1:]).evidence == by_logger
    assert found(TRAINED, "Retrying the push: 503 Server Error", "wandb: failed to upload file").cause == "ok"
    assert found(TRAINED, *REFUSED, "model pushed to the Hub in 4 s").cause == "ok"


def test_few_broken_losses_or_a_log_that_breaks_off_make_nan_less_sure() -> None:
    once, twice, often = found(NAN), found(NAN, NAN), found(NAN, NAN, NAN)
    assert once.confidence < twice.confidence < often.confidence
    assert {told.cause.value for told in (once, twice, often)} == {"nan_loss"}
    assert "one line" in once.message
    cut = found(NAN, NAN, NAN, code=None)
    assert cut.confidence < often.confidence
    assert "breaks off" in cut.message
    assert found(NAN, NAN, NAN, TRAINED, code=None).confidence == often.confidence


def test_a_log_that_breaks_off_makes_divergence_less_sure() -> None:
    losses = [f"{{'loss': {loss}, 'epoch': 0.1}}" for loss in (2.0, 1.8, 1.7, 1.6, 6.0, 8.0, 9.0, 9.5, 9.5, 9.8)]
    whole, cut = found(*losses), found(*losses, code=None)
    assert (whole.cause.value, cut.cause.value) == ("diverging", "diverging")
    assert cut.confidence < whole.confidence
    assert "breaks off" in cut.message


def test_a_file_that_the_script_opens_is_its_own_affair_and_one_that_datasets_seeks_is_not() -> None:
    gone = "FileNotFoundError: [Errno 2] No such file or directory: './data/train.json'"
    told = found(*OWN[:3], gone, code=1)
    assert (told.cause.value, told.retry.value) == ("script_error", "never")
    assert "opens ./data/train.json," in told.remedy
    library = '  File "/opt/lib/site-packages/datasets/packaged_modules/csv/csv.py", line 9, in _generate_tables'
    assert found(*OWN[:3], library, "    open(file)", gone, code=1).cause == "dataset_not_found"
    unfound = "FileNotFoundError: Unable to find '/app/data/train.json'"
    assert found(*OWN[:3], library, unfound, code=1).cause == "dataset_not_found"


def test_a_command_that_no_package_brings_is_named() -> None:
    told = found("error: Failed to spawn: `trl`", "  Caused by: No such file or directory (os error 2)", code=2)
    assert (told.cause.value, told.retry.value) == ("missing_dependency", "changed")
    assert "brings the command trl:" in told.remedy
    assert "--with" in told.remedy


def test_a_row_of_data_with_a_loss_of_its_own_is_no_entry_of_the_training() -> None:
    falling = [f"{{'loss': '{2 - step / 10}', 'grad_norm': '1.0', 'epoch': '0.1'}}" for step in range(8)]
    rows = ['{"prompt": "why", "prediction": "because", "loss": NaN}'] * 4
    lines = [*falling, "{'train_runtime': '40.1', 'train_loss': '1.4'}", *rows]
    assert found(*lines).cause.value == "ok"
