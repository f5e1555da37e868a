"""A language model by name: a transformer in its style, and one of another kind that only says how likely texts are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kepipe.arrays import Floats, Ints
from kepipe.cli import app
from kepipe.inference import opening
from kepipe.inference.language_model import open_language_model
from kepipe.inference.opening import ModelKind, OpenedModel
from kepipe.knowledge.kbert.settings import KBert
from kepipe.knowledge.opening import write_settings
from kepipe.models import folder
from kepipe.models.base import Base, build
from kepipe.models.hf import huggingface
from kepipe.models.lm_scorer import LMScorer
from kepipe.models.protocols import Capability, LanguageModel
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer
from kepipe.tokenization.training import train_tokenizer
from kg.schema import Entity
from kg.writer import write_graph

TASK = "choices: [Mars, Jupiter]\ntemplate: '{question}: {answer}'\nquestions: [{question: Io, answer: Jupiter}]\n"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(["Io: Jupiter. Deimos: Mars."] * 4, "bpe", 420).save(made)
    return made


@dataclass(frozen=True)
class Uniform:
    """Every token is as likely as another."""

    tokenizer: Tokenizer
    capabilities: frozenset[Capability] = frozenset({"language-model"})

    def log_likelihoods(
        self, prompts: Sequence[Ints], rows: Sequence[int], targets: Sequence[Ints]
    ) -> Floats:
        return np.full((len(rows), max(map(len, targets))), -np.log(self.tokenizer.vocab_size))


@pytest.fixture
def uniform(tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of another kind of model."""
    load_tokenizer(tokenizer).save(tmp_path / "uniform")
    (tmp_path / "uniform" / "config.json").write_text(json.dumps({"format": "uniform/1"}))
    kind = ModelKind(
        lambda place: Uniform(load_tokenizer(place)),
        lambda place, *_: OpenedModel(place, language_model=Uniform(load_tokenizer(place))),
    )
    monkeypatch.setattr(opening, "KINDS", {**opening.KINDS, "uniform": kind})
    return tmp_path / "uniform"


def test_a_model_of_another_kind_is_asked(uniform: Path, tmp_path: Path) -> None:
    assert isinstance(open_language_model(str(uniform)), LanguageModel)
    (tmp_path / "task.yaml").write_text(TASK)
    ended = CliRunner().invoke(app, ["few-shot", str(uniform), str(tmp_path / "task.yaml"), "--shots", "0"])
    assert ended.exit_code == 0, ended.output
    assert "1 questions" in ended.output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "says how likely a text is and does not write"),
        (["--beams", "2"], "is no transformer and writes the likeliest tokens alone"),
        (["--prompt-style", "append"], "is no transformer and has no styles of prompts"),
    ],
)
def test_what_it_cannot_do_is_refused(flags: list[str], message: str, uniform: Path) -> None:
    ended = CliRunner().invoke(app, ["generate", str(uniform), "Io", *flags])
    assert isinstance(ended.exception, ValueError)
    assert message in str(ended.exception)


def test_a_transformer_goes_on_in_the_style_that_is_asked_for(tokenizer: Path, tmp_path: Path) -> None:
    model = build(Base(family="gpt2", layers=1, hidden=32, heads=2), 420, 0)
    folder.save(tmp_path / "ours", model, tokenizer=tokenizer)
    huggingface.save(tmp_path / "theirs", model, tokenizer)
    for place in ("ours", "theirs"):
        own, other = (open_language_model(str(tmp_path / place), style) for style in (None, "prefix"))
        assert isinstance(own, LMScorer)
        assert isinstance(other, LMScorer)
        assert (own.prompt_style, other.prompt_style) == ("append", "prefix")


def test_knowledge_that_a_folder_brings_is_not_used_for_writing(tokenizer: Path, tmp_path: Path) -> None:
    model = build(Base(family="gpt2", layers=1, hidden=32, heads=2), 420, 0)
    folder.save(tmp_path / "m", model, tokenizer=tokenizer)
    write_graph(tmp_path / "m" / "graph", [Entity("Q1", "Io")], [], {"train": []})
    write_settings(tmp_path / "m", KBert())
    notes: list[str] = []
    open_language_model(str(tmp_path / "m"), note=notes.append)
    assert any(
        "its k-bert is not used: what a model writes follows from the text alone" in note for note in notes
    )
