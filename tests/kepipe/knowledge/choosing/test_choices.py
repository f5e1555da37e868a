"""Every row of the table of choices is documented and used; the schema is made from the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kepipe.knowledge.choosing.choices import CHOICES
from kepipe.knowledge.kbert.settings import KBert
from kepipe.knowledge.table import inputs_of

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("name", CHOICES)
def test_choice_is_documented_and_in_use(name: str) -> None:
    assert f"| `{name}` | " in (ROOT / "docs/k-bert.md").read_text(encoding="utf-8")
    files = [*ROOT.glob("pipelines/*.yaml"), *ROOT.glob("docs/*.md")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    assert f"choice: {name}" in text or f"--choice {name}" in text


@pytest.mark.parametrize("name", CHOICES)
def test_choice_with_vectors_requests_them(name: str) -> None:
    needed = inputs_of([KBert(choice=name)])
    assert ("vectors" in needed) == CHOICES[name].needs_vectors


def test_k_bert_schema_offers_the_choices() -> None:
    field = KBert.model_json_schema()["properties"]["choice"]
    assert field["enum"] == list(CHOICES)
    for name, choice in CHOICES.items():
        assert f"`{name}`: {choice.about}" in field["description"]


def test_choice_names_are_read_without_torch() -> None:
    """So are the names of tokenizers, sources, styles of prompts, and what the pipeline file offers."""
    modules = (
        "kepipe.knowledge.choosing.choices, kepipe.tokenization.table, kepipe.data.sources.table, "
        "kepipe.models.prompt_styles, kepipe.inference.normalisation"
    )
    for names, heavy in ((modules, ("numpy", "pydantic", "torch")), ("kepipe.pipeline", ("torch",))):
        program = f"import sys, {names}; print([name for name in {heavy} if name in sys.modules])"
        printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert printed.stdout == "[]\n", names
