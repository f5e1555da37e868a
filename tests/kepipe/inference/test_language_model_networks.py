"""Left-to-right networks with facts of the entities in a prompt."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.inference.language_model import open_language_model
from kepipe.models import folder
from tests.support.networks import network
from tests.support.sides import SIDE, words_tokenizer, write_sides


@pytest.fixture(params=["nnlm", "lstm"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model with random weights over words, and a graph."""
    words = words_tokenizer(tmp_path)
    words.save(tmp_path / "tokenizer")
    drawn = network(request.param, vocabulary=words.vocab_size)
    drawn.config = replace(drawn.config, start=words.sep)
    folder.save(tmp_path / "model", drawn, tokenizer=tmp_path / "tokenizer")
    write_sides(tmp_path / "graph", SIDE)
    return tmp_path / "model"


def test_network_scores_texts_after_facts(model: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("rain we saw oslo it is north")
    reader = open_language_model(str(model)).language_model
    assert reader is not None
    asked = ["perplexity", str(model), str(tmp_path / "text.txt"), "--context", "16"]
    facts = ["--knowledge", "triples-as-text", "--graph", str(tmp_path / "graph")]
    for fact, options in {"": [], "oslo lies in north. ": facts}.items():
        tokens = reader.tokenizer.encode([f"{fact}rain we saw oslo it is north"]).tokens
        nats = -reader.log_likelihoods([tokens[:-1]], [0], [tokens[-1:]]).sum()
        ended = CliRunner().invoke(app, [*asked, *options])
        assert ended.exception is None, ended.exception
        found = re.search(r"^per token +([\d.,]+)", ended.stdout, re.MULTILINE)
        assert found is not None
        assert float(found[1].replace(",", "")) == pytest.approx(np.exp(nats), abs=1e-2)
        assert ("5 tokens of facts were put before" in ended.stderr) == bool(fact)


@pytest.mark.parametrize("drawn", [[], ["--temperature", "0.5", "--seed", "1"]])
def test_network_generates_with_facts(drawn: list[str], model: Path, tmp_path: Path) -> None:
    facts = ["--knowledge", "triples-as-text", "--graph", str(tmp_path / "graph"), "--limit", "3"]
    ended = CliRunner().invoke(app, ["generate", str(model), "we saw oslo it is", *facts, *drawn])
    assert ended.exception is None, ended.exception
    assert ended.stdout.startswith("we saw oslo it is")
    assert "5 tokens of facts were put before" in ended.stderr


def test_network_rejects_knowledge_that_adds_layers(model: Path) -> None:
    asked = ["generate", str(model), "oslo", "--knowledge", "ernie-tsinghua", "--vectors", "true"]
    assert "adds layers to a transformer" in str(CliRunner().invoke(app, asked).exception)
