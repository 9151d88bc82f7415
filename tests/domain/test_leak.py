"""Tokens in text: found whatever stands around them, told by their kind only, and never seen in placeholders."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from service.domain import leak, mask

LETTERS = string.ascii_letters
ALNUM = LETTERS + string.digits
WORD = ALNUM + "_-"

FORMS: dict[str, Callable[[Callable[[int, str], str]], str]] = {
    "a Hugging Face token": lambda some: "hf_" + some(34, LETTERS),
    "an Anthropic key": lambda some: "sk-ant-api03-" + some(93, WORD) + "AA",
    "an API key (sk-…)": lambda some: "sk-proj-" + some(40, ALNUM) + "7a",
    "a GitHub token": lambda some: "ghp_" + some(36, ALNUM),
    "a GitLab token": lambda some: "glpat-" + some(20, WORD),
    "an AWS access key": lambda some: "AKIA" + some(16, string.ascii_uppercase + "234567"),
    "a Google API key": lambda some: "AIza" + some(35, WORD),
    "a Slack token": lambda some: "xoxb-" + some(40, ALNUM),
    "an npm token": lambda some: "npm_" + some(36, ALNUM),
    "a PyPI token": lambda some: "pypi-AgEIcHlwaS5vcmc" + some(60, WORD),
    "a Stripe key": lambda some: "sk_live_" + some(24, ALNUM),
    "a key of this service": lambda some: "tg_" + some(43, WORD),
    "a trackio write token": lambda some: "write_token=" + some(43, WORD),
    "a webhook's signing secret": lambda some: "whsec_" + some(32, ALNUM),
}


@pytest.mark.parametrize("kind", FORMS)
@settings(max_examples=30)
@given(seed=st.integers(0), before=st.sampled_from(["", "x = '", "--token=", "\n", "https://u:", "🤗"]))
def test_a_token_is_found_wherever_it_stands(kind: str, seed: int, before: str) -> None:
    draw = random.Random(seed)  # tokens are random; text that is drawn letter by letter repeats itself
    token = FORMS[kind](lambda length, letters: "".join(draw.choices(letters, k=length)))
    assume(len(set(token)) >= leak.FEWEST_CHARACTERS and leak.PLACEHOLDER.search(token) is None)
    assert leak.find(f"{before}{token}' # a comment") == kind


def test_keys_without_a_form_of_their_own_are_known_by_what_stands_around_them() -> None:
    secret = "aws_secret_access_key = 'wJalrXUtnFEMIK7MDENGbPxRfiCYzQ1r5t8u2v4x'"
    assert leak.find(secret) == "an AWS secret key"
    for name in ("PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"):
        assert leak.find(f"key = '''-----BEGIN {name}-----\nMIIE") == "a private key"


@pytest.mark.parametrize(
    "text",
    [
        "hf_" + "x" * 34,
        "HF_TOKEN = '<your token>'",
        "hf_...",
        "hf_sandbox_job",
        "hf_hub_download(repo_id, filename)",
        "sk-your-api-key-here-1234567890abcdefghij",
        "sk-learn-contrib-some-long-package-name",
        "risk-a1b2c3d4e5f6g7h8i9j0k1l2",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "0" * 36,
        "-----BEGIN PUBLIC KEY-----",
        "sha 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "https://huggingface.co/HuggingFaceTB/SmolLM3-3B-Base/resolve/0123456789abcdef0123456789abcdef01234567/x",
        "",
    ],
)
def test_placeholders_names_and_hashes_are_no_tokens(text: str) -> None:
    assert leak.find(text) is None


@pytest.mark.parametrize(
    "beginning",
    ["sk-", "sk-a-", "sk-ant-", "/sk-a", "aws_secret_", "glpat-", "hf_", "-----BEGIN ", "pypi-AgE", "x", "sk-a1-"],
)
def test_a_text_of_nothing_but_beginnings_is_read_at_once(beginning: str) -> None:
    text = beginning * (64 * 1024 // len(beginning))
    began = time.process_time()
    leak.find(text)
    assert time.process_time() - began < 1  # what grows with the square takes ten


@given(value=st.text(min_size=1, max_size=60), around=st.text(max_size=20))
def test_a_masked_text_holds_no_secret_of_some_length(value: str, around: str) -> None:
    parts = leak.secret_parts([value])
    masked = mask.mask(f"{around}{value}{around}", parts)
    assume(not any(part in mask.MASK or mask.MASK in part for part in parts))
    assume(not any(part in around for part in parts))
    assert leak.holds(f"{around}{value}{around}", parts) == bool(parts)
    assert (mask.MASK in masked) >= bool(parts)


def test_a_secret_of_several_lines_is_known_by_each_of_them() -> None:
    parts = leak.secret_parts(["first-line\nsecond-line\nab"])
    assert leak.holds("see second-line here", parts)
    assert not leak.holds("ab", parts)
    assert mask.mask("x second-line y first-line\nsecond-line\nab", parts) == "x [secret] y [secret]"


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("http://127.0.0.1:7860/?write_token=correct-horse", ["correct-horse"]),
        ("https://x.org/?project=a-project&Write_Token=a%2Fbattery&plot=x", ["a%2Fbattery", "a/battery"]),
        ("postgresql://user:staple-gun@db.internal:5432/runs?sslmode=require", ["staple-gun"]),
        ("https://x.org/path?api_key=123456&sig=abcdef", ["123456", "abcdef"]),
        ("https://user@x.org/token=nothing?page=1234567", []),
    ],
)
def test_the_tokens_in_an_address_are_secrets_of_their_own(address: str, inside: list[str]) -> None:
    parts = leak.secret_parts([address])
    assert {address, *inside} <= {*parts}
    assert {part for part in parts if "%" not in part and "://" not in part} == {
        one for one in inside if "%" not in one
    }
    for one in inside:
        assert mask.mask_lines([f"refused: {one} is unknown"], parts) == [f"refused: {mask.MASK} is unknown"]


def test_a_secret_is_known_as_addresses_json_and_python_write_it() -> None:
    parts = leak.secret_parts(["a b/ü\"'c&d"])
    for written in ("a%20b%2F%C3%BC%22%27c%26d", "a+b%2F%C3%BC%22%27c%26d", "a b/\\u00fc\\\"'c&d", "a b/ü\"\\'c&d"):
        assert mask.mask(f"<{written}>", parts) == "<[secret]>"


def test_a_secret_that_goes_on_in_the_next_line_is_taken_out_of_both() -> None:
    parts = leak.secret_parts(["correct-horse-battery"])
    assert mask.mask_lines(["x correct-ho", "rse-battery y"], parts) == ["x [secret]", "[secret] y"]
    assert mask.mask_lines(["x corr", "", "ect-horse-", "battery y"], parts) == [
        "x [secret]",
        "",
        "[secret]",
        "[secret] y",
    ]
    assert mask.mask_lines(["x correct-horse-ba  |", "│ ttery y"], parts) == ["x [secret]  |", "│ [secret] y"]
    assert mask.mask_lines(["\x1b[1mcorrect\x1b[0m-horse-battery"], parts) == ["\x1b[1m[secret]\x1b[0m[secret]"]
    assert mask.mask_lines(["a correct ", "horse"], ["correct horse"]) == ["a [secret]", "[secret]"]
    assert mask.mask_lines(["correct-horse", "cart"], parts) == ["correct-horse", "cart"]
    assert mask.may_go_on("x corr", parts)
    assert mask.may_go_on("| x corr\x1b[0m  |", parts)
    assert not mask.may_go_on("x co", parts)
    assert not mask.may_go_on("correct-horse-battery", parts)


def test_tokens_in_a_log_are_masked_and_placeholders_stay() -> None:
    token = "hf_" + "".join(random.Random(7).choices(LETTERS, k=34))
    assert mask.mask_lines([f"token={token}, {token}!", "hf_xxxxxxxx"], []) == [
        "token=[secret], [secret]!",
        "hf_xxxxxxxx",
    ]


@given(st.data(), st.lists(st.text("abcdef", max_size=9), min_size=1, max_size=6))
def test_nothing_of_a_secret_is_left_wherever_lines_are_cut(data: st.DataObject, around: list[str]) -> None:
    secret = "zyxwvutsrq"
    text = f"{''.join(around[:2])}{secret}{''.join(around[2:])}{secret}"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    lines = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    masked = mask.mask_lines(lines, leak.secret_parts([secret]))
    left = "".join(masked).replace(mask.MASK, "")
    assert left == "".join(around)


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("Authorization: Bearer abcDEF123456789012345", "Authorization: Bearer [secret]"),
        ("git clone https://user:p4ssw0rd-x@github.com/x/y", "git clone https://user:[secret]@github.com/x/y"),
        ("postgres://u:abcd@db/x and redis://:abcd@r", "postgres://u:[secret]@db/x and redis://:[secret]@r"),
        ("the bearer of this", "the bearer of this"),
        ("http://127.0.0.1:8000/a@b", "http://127.0.0.1:8000/a@b"),
    ],
)
def test_what_stands_where_a_secret_does_is_masked_in_a_log(line: str, masked: str) -> None:
    assert mask.mask_lines([line], []) == [masked]
