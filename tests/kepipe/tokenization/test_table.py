"""Every row of the table of tokenizers is documented and trains; schema and help are built from the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.stages.shards import TokenizerConfig
from kepipe.tokenization.table import KINDS
from kepipe.tokenization.training import train_tokenizer

ROOT = Path(__file__).parents[3]
TEXTS = ["The Moon goes around the Earth.", "Io goes around Jupiter."] * 4


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_documented(name: str) -> None:
    assert f"| `{name}` | {KINDS[name].about} |" in (ROOT / "docs/zoo.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", KINDS)
def test_a_row_agrees_with_its_trainer(name: str) -> None:
    kind = KINDS[name]
    folded, kept = (train_tokenizer(TEXTS, name, 450, lowercase) for lowercase in (True, False))
    assert json.loads(folded.backend.to_str())["model"]["type"] == kind.model
    assert ("M" not in folded.decode(folded.encode(["Moon"]).tokens)) == kind.can_lowercase
    assert "Moon" in kept.decode(kept.encode(["Moon"]).tokens)


def test_schema_and_help_list_the_table() -> None:
    field = TokenizerConfig.model_json_schema()["properties"]["kind"]
    assert field["enum"] == list(KINDS)
    printed = CliRunner().invoke(app, ["tokenizer", "train", "--help"], env={"COLUMNS": "200"}).output
    for name, kind in KINDS.items():
        assert f"`{name}`: {kind.about}" in field["description"]
        assert name in printed
