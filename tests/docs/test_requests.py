"""Bodies that the documents show are taken: each says by the word behind ```json what it is."""

from __future__ import annotations

import json

import pytest

from service.api.sweep_schemas import SweepCreate
from service.domain.request import RunRequest
from tests.docs.pages import Block, blocks

FORMS = {"run": RunRequest, "sweep": SweepCreate}
SHOWN = list(blocks("json"))


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.place)
def test_a_body_is_what_it_claims_to_be(block: Block) -> None:
    assert block.kind in FORMS, f"say what it is: ```json {' or '.join(FORMS)}"
    FORMS[block.kind].model_validate(json.loads(block.text))


def test_there_are_some() -> None:
    assert len(SHOWN) > 5
