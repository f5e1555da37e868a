"""A language model by name: a transformer in its style, one of another kind that only says how likely texts
are, and what is known of what a prompt names."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from kepipe.arrays import Floats, Ints
from kepipe.cli import app
from kepipe.inference import opening
from kepipe.inference.language_model import open_language_model
from kepipe.inference.opening import ModelKind, OpenedModel
from kepipe.knowledge.opening import write_settings
from kepipe.knowledge.triples_as_text.settings import TriplesAsText
from kepipe.models import folder
from kepipe.models.base import Base, build
from kepipe.models.hf import huggingface
from kepipe.models.lm_scorer import LMScorer
from kepipe.models.protocols import Capability, LanguageModel
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer
from kepipe.tokenization.training import train_tokenizer
from tests.support.sides import OPPOSITE, SIDE, trained_model, words_tokenizer, write_sides

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
    """A folder of a third-party kind of model."""
    load_tokenizer(tokenizer).save(tmp_path / "uniform")
    (tmp_path / "uniform" / "config.json").write_text(json.dumps({"format": "uniform/1"}))
    kind = ModelKind(
        lambda place: Uniform(load_tokenizer(place)),
        lambda place, *_: OpenedModel(place, language_model=Uniform(load_tokenizer(place))),
    )
    monkeypatch.setattr(opening, "KINDS", {**opening.KINDS, "uniform": kind})
    return tmp_path / "uniform"


def test_third_party_model_answers_few_shot(uniform: Path, tmp_path: Path) -> None:
    assert isinstance(open_language_model(str(uniform)).language_model, LanguageModel)
    (tmp_path / "task.yaml").write_text(TASK)
    ended = CliRunner().invoke(app, ["few-shot", str(uniform), str(tmp_path / "task.yaml"), "--shots", "0"])
    assert ended.exit_code == 0, ended.output
    assert "1 questions" in ended.output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "scores texts but does not generate them"),
        (["--top-p", "0.9"], "does not give the probabilities of next tokens"),
        (["--beams", "2"], "has no beam search: remove beams"),
        (["--prompt-style", "append"], "does not support prompt styles: leave it out"),
    ],
)
def test_unsupported_generation_options_are_rejected(flags: list[str], message: str, uniform: Path) -> None:
    ended = CliRunner().invoke(app, ["generate", str(uniform), "Io", *flags])
    assert isinstance(ended.exception, ValueError)
    assert message in str(ended.exception)


def test_prompt_style_option_selects_the_style(tokenizer: Path, tmp_path: Path) -> None:
    model = build(Base(family="gpt2", layers=1, hidden=32, heads=2), 420, 0)
    folder.save(tmp_path / "ours", model, tokenizer=tokenizer)
    huggingface.save(tmp_path / "theirs", model, tokenizer)
    for place in ("ours", "theirs"):
        own, other = (
            open_language_model(str(tmp_path / place), style).language_model for style in (None, "prefix")
        )
        assert isinstance(own, LMScorer)
        assert isinstance(other, LMScorer)
        assert (own.prompt_style, other.prompt_style) == ("append", "prefix")


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`reader`: a model that continues by the fact before a text; `true`, `turned`: graphs; `task.yaml`."""
    root = tmp_path_factory.mktemp("sides")
    tokenizer = words_tokenizer(root)
    tokenizer.save(root / "tokenizer")
    folder.save(root / "reader", trained_model(tokenizer).model, tokenizer=root / "tokenizer")
    write_sides(root / "true", SIDE)
    write_sides(root / "turned", OPPOSITE)
    questions = "".join(f"  - {{question: {town}, answer: {side}}}\n" for town, side in SIDE.items())
    (root / "task.yaml").write_text(
        f"choices: [north, south]\ntemplate: 'we saw {{question}} it is {{answer}}'\nquestions:\n{questions}"
    )
    return root


def ask(command: str, model: Path, *arguments: str | Path) -> Result:
    ended = CliRunner().invoke(app, [command, str(model), *map(str, arguments)])
    assert ended.exception is None, ended.exception
    return ended


@pytest.mark.parametrize(
    "drawn", [(), ("--beams", "2"), ("--temperature", "0.01")], ids=["greedy", "beam", "drawn"]
)
def test_generate_uses_facts_of_entities_in_the_prompt(sides: Path, drawn: tuple[str, ...]) -> None:
    options = ("--knowledge", "triples-as-text", "--limit", "1", *drawn)
    for graph, side in (("true", SIDE["oslo"]), ("turned", OPPOSITE["oslo"])):
        ended = ask("generate", sides / "reader", "we saw oslo it is", "--graph", sides / graph, *options)
        assert ended.stdout.strip() == f"we saw oslo it is {side}", "the facts are read and not printed"
        assert "1 entities in 1 prompts, 1 of them known; 5 tokens of facts were put before" in ended.stderr


def test_few_shot_uses_facts(sides: Path) -> None:
    for graph, share in (("true", "100.0%"), ("turned", "0.0%")):
        options = ("--shots", "0", "--knowledge", "triples-as-text", "--graph", sides / graph)
        ended = ask("few-shot", sides / "reader", sides / "task.yaml", *options)
        assert ended.stdout.splitlines()[-1].split()[:2] == ["0", share]
        assert "6 entities in 6 prompts, 6 of them known" in ended.stderr


def test_perplexity_uses_facts(sides: Path) -> None:
    """Six tokens are the prompt of the last one: to the model they come after the fact."""
    (sides / "text.txt").write_text("rain we saw oslo it is north")
    reader = open_language_model(str(sides / "reader")).language_model
    assert reader is not None
    asked = (sides / "reader", sides / "text.txt", "--context", "16")
    for fact, options in {
        "": (),
        "oslo lies in north. ": ("--graph", sides / "true", "--knowledge", "triples-as-text"),
        "oslo lies in south. ": ("--graph", sides / "turned", "--knowledge", "triples-as-text"),
    }.items():
        tokens = reader.tokenizer.encode([f"{fact}rain we saw oslo it is north"]).tokens
        nats = -reader.log_likelihoods([tokens[:-1]], [0], [tokens[-1:]]).sum()
        ended = ask("perplexity", *asked, *options)
        found = re.search(r"^per token +([\d.,]+)", ended.stdout, re.MULTILINE)
        assert found is not None
        assert float(found[1].replace(",", "")) == pytest.approx(np.exp(nats), abs=1e-3)
        told = "1 entities in 1 prompts, 1 of them known; 5 tokens of facts were put before"
        assert (told in ended.stderr) == bool(fact)


def test_knowledge_of_the_model_folder_is_used_by_default(sides: Path, tmp_path: Path) -> None:
    """Its graph and its settings, until another graph is given, or none is wanted."""
    shutil.copytree(sides / "reader", tmp_path / "m")
    shutil.copytree(sides / "turned", tmp_path / "m" / "graph")
    write_settings(tmp_path / "m", TriplesAsText())
    asked = (tmp_path / "m", "we saw oslo it is", "--limit", "1")
    assert ask("generate", *asked).stdout.split()[-1] == OPPOSITE["oslo"]
    assert ask("generate", *asked, "--graph", sides / "true").stdout.split()[-1] == SIDE["oslo"]
    alone = ask("generate", *asked, "--knowledge", "none")
    assert alone.stdout == ask("generate", sides / "reader", *asked[1:]).stdout
    (tmp_path / "text.txt").write_text("rain we saw oslo it is north")
    scored = ask("perplexity", tmp_path / "m", tmp_path / "text.txt", "--context", "16")
    assert "5 tokens of facts were put before" in scored.stderr
    assert "knowledge:" not in alone.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--knowledge", "triples-as-text"], "brings no graph for triples-as-text: give it (--graph)"),
        (["--graph", "true"], "uses no knowledge: remove the graph, or set a method with --knowledge"),
        (["--linker", "true"], "uses no knowledge: remove the linker"),
        (["--knowledge", "none", "--graph", "true"], "--graph has no effect with --knowledge none"),
        (
            ["--knowledge", "ernie-tsinghua", "--vectors", "true"],
            "fused in an encoder such as bert or roberta",
        ),
        (
            ["--knowledge", "ernie-baidu"],
            "which ernie-baidu does not support: it chooses what pretraining masks",
        ),
        (
            ["--knowledge", "{method: triples-as-text, length: 8}", "--graph", "true"],
            "no room for a prompt of 5 tokens and 50 more: set a larger `length` in `knowledge`",
        ),
    ],
)
def test_unusable_knowledge_explains_why(
    sides: Path, options: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sides)
    ended = CliRunner().invoke(app, ["generate", "reader", "we saw oslo it is", *options])
    assert message in str(ended.exception)


def test_third_party_model_rejects_knowledge(uniform: Path) -> None:
    ended = CliRunner().invoke(app, ["generate", str(uniform), "Io", "--knowledge", "ernie-baidu"])
    assert "does not support knowledge methods" in str(ended.exception)
