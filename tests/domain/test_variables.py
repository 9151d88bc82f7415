"""Names and values of a run's variables: which a job is given, and which are refused, with what to do."""

from __future__ import annotations

import pytest

from service.domain.errors import BrokenRule, Invalid, SecretInText
from service.domain.variables import check_env, check_secrets

VALUE = "0123456789abcdef0123"


@pytest.mark.parametrize(
    "name",
    [
        "LD_PRELOAD",
        "PATH",
        "PYTHONPATH",
        "HOME",
        "BASH_ENV",
        "HF_TOKEN",
        "hf_token",
        "HF_ENDPOINT",
        "HUGGING_FACE_HUB_TOKEN",
        "TUNEGATE_RUN_ID",
        "JOB_ID",
        "RANK",
        "WORLD_SIZE",
        "MASTER_ADDR",
        "CUDA_VISIBLE_DEVICES",
        "A=B",
        "A B",
        "",
        "1ABC",
        "A-B",
        "Ä",
        "_X",
        "AB\n",
    ],
)
def test_names_that_are_taken_or_are_none_are_refused_in_both(name: str) -> None:
    for check in (check_env, check_secrets):
        with pytest.raises(BrokenRule) as caught:
            check({name: "x1"})
        assert caught.value.kind is Invalid
        assert caught.value.remedy


@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY",
        "OPENAI_API_KEY",
        "WANDB_API_KEY",
        "GITHUB_TOKEN",
        "DB_PASSWORD",
        "MY_SECRET",
        "TOKEN",
        "KAGGLE_KEY",
        "NEPTUNE_API_TOKEN",
        "TRACKIO_WRITE_TOKEN",
        "SSH_PRIVATE_KEY",
        "AZURE_STORAGE_KEY",
        "wandb_api_key",
    ],
)
def test_a_secret_by_its_name_is_for_secrets(name: str) -> None:
    with pytest.raises(BrokenRule) as caught:
        check_env({name: VALUE})
    assert (caught.value.kind, caught.value.at) == (SecretInText, name)
    assert VALUE not in caught.value.rule + caught.value.remedy
    check_secrets({name: VALUE})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_TOKENS", "512"),
        ("PAD_TOKEN", "<pad>"),
        ("SORT_KEY", "length"),
        ("TEXT_KEY", "conversations"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/data/key.json"),
        ("WANDB_IDENTITY_TOKEN_FILE", "/data/token"),
        ("USE_API_KEY", "true"),
        ("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True"),
        ("UV_INDEX_URL", "https://packages.example.com/simple"),
    ],
)
def test_what_only_sounds_like_a_secret_passes(name: str, value: str) -> None:
    check_env({name: value})


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "$WANDB_API_KEY",
        "${WANDB_API_KEY}",
        "${{ secrets.KEY }}",
        "$(cat key)",
        "<YOUR_KEY>",
        "your-key-here",
        "xxxxxxxx",
        "abcdef123\n",
        " abcdef123",
    ],
)
def test_a_secret_that_was_not_filled_in_is_refused(value: str) -> None:
    with pytest.raises(BrokenRule) as caught:
        check_secrets({"WANDB_API_KEY": value})
    assert caught.value.at == "WANDB_API_KEY"
    assert len(value) < 3 or value.strip() not in caught.value.rule


@pytest.mark.parametrize("value", ["abc", "-----BEGIN X-----\nabc\n-----END X-----\n", "pa$$word", "a b", "$1$abc$def"])
def test_a_secret_of_any_other_form_passes(value: str) -> None:
    check_secrets({"KEY": value})
