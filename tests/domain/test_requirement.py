"""Packages that no job could install are refused, and those that rule each other out; whatever may be right passes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from service.domain.errors import BrokenRule, Invalid, SecretInText
from service.domain.requirement import check_together, read_requirement


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("torch=2.1", "=="),
        ("torch 2.1", "=="),
        ("pip install torch", "alone"),
        ("-r requirements.txt", "options"),
        ("torch==2.1 --index-url x", "options"),
        ("torch,transformers", "item of its own"),
        ("https://example.com/x.whl", "name @"),
        ("torch[cuda", "torch>=2.5"),
        ("x @ file:///x", "public"),
        ("x @ ../x", "public"),
        ("x @ git+ssh://git@github.com/a/b", "public"),
        ("x @ http://example.com/x.whl", "public"),
        ("x @ https://10.0.0.1/x.whl", "public"),
        ("x @ https://localhost/x.whl", "public"),
    ],
)
def test_what_no_job_can_install_is_told(text: str, remedy: str) -> None:
    with pytest.raises(BrokenRule) as caught:
        read_requirement(text)
    assert remedy in caught.value.remedy
    assert caught.value.kind is Invalid


@pytest.mark.parametrize("text", ["x @ git+https://user:pa55@github.com/a/b", "x @ https://tok3n@example.com/x.whl"])
def test_a_password_in_an_address_is_a_secret_in_clear(text: str) -> None:
    with pytest.raises(BrokenRule) as caught:
        read_requirement(text)
    assert caught.value.kind is SecretInText
    assert "pa55" not in caught.value.rule
    assert "tok3n" not in caught.value.rule


@pytest.mark.parametrize(
    "texts",
    [
        ("torch==2.1", "torch>=2.5"),
        ("Flash_Attn==2.1", "flash-attn==2.5"),
        ("torch<2", "torch>2.5"),
        ("trl==1.0", "trl!=1.0"),
        ("trl~=1.0", "trl>=2"),
        ("torch==2.*", "torch>=3"),
        ("torch>=2.1,<2.1",),
        ("a[x]>=2", "a<1"),
        ("a>=2; os_name == 'posix'", "a<1"),
        ("a @ https://example.com/a-1.whl", "a @ https://example.com/a-2.whl"),
    ],
)
def test_requirements_that_no_version_meets_are_told(texts: tuple[str, ...]) -> None:
    with pytest.raises(BrokenRule, match=r"meets|two addresses"):
        check_together(map(read_requirement, texts))


@pytest.mark.parametrize(
    "texts",
    [
        ("torch", "torch"),
        ("torch==2.1+cu118", "torch>=2.0"),
        ("torch>2.1,<2.2", "torch!=2.1.1"),
        ("torch>=2,!=2.*", "torch<4"),
        ("a~=2.1", "a!=2.1"),
        ("a<2; python_version < '3.10'", "a>=2; python_version >= '3.10'"),
        ("a===weird", "a>=1"),
        ("a @ git+https://github.com/a/b.git@v1", "a>=2"),
        ("a==1!2.0", "a>=1!1"),
        ("a==2.0.dev1", "a>=2.0.dev0"),
    ],
)
def test_what_may_be_met_passes(texts: tuple[str, ...]) -> None:
    check_together(map(read_requirement, texts))


VERSION = st.builds("{}.{}.{}".format, *[st.integers(0, 3)] * 3)
SPECIFIER = st.builds("{}{}".format, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "~="]), VERSION)


@given(st.lists(SPECIFIER, min_size=1, max_size=5), VERSION)
def test_no_set_is_refused_that_a_version_meets(specifiers: list[str], version: str) -> None:
    if SpecifierSet(",".join(specifiers)).contains(version):
        check_together(Requirement(f"a{one}") for one in specifiers)
        for one, other in pairwise([*specifiers, specifiers[0]]):
            check_together([Requirement(f"a{one},{other}")])
