"""Every row of the table of prompt styles is documented, and families and objectives name rows of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kepipe.models.families import FAMILIES
from kepipe.models.prompt_styles import PROMPT_STYLES
from kepipe.objectives.table import TABLE

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", PROMPT_STYLES)
def test_prompt_style_is_documented(name: str) -> None:
    assert f"| {name} | " in (ROOT / "docs/zoo.md").read_text(encoding="utf-8")


def test_prompt_styles_of_families_and_objectives_are_in_the_table() -> None:
    named = {family.prompt_style for family in FAMILIES.values()}
    named |= {row.prompt_style for row in TABLE.values()}
    assert named - {None} <= PROMPT_STYLES.keys()


def test_decoder_families_have_decoder_prompt_styles() -> None:
    for family in FAMILIES.values():
        if family.prompt_style is not None:
            assert PROMPT_STYLES[family.prompt_style].decoder_alone == (family.stacks == "decoder")
